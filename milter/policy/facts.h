/*
 * facts - what the decision about a message rests on: plain values, no pointers.
 *
 * gather.c fills them (I/O), decide.c reads them (pure), tests make them up. What could not be
 * found out is a fact too: ABLE_UNKNOWN. Threads: values.
 */
#ifndef MILTER_POLICY_FACTS_H
#define MILTER_POLICY_FACTS_H

#include <glib.h>

#include "milter/mime/verdict.h"
#include "milter/policy/choices.h"

/* How large the message would leave, by what is done to it. */
struct copy_sizes {
	guint64 signed_bytes;
	guint64 encrypted_bytes;
	guint64 both_bytes;
};

struct message_facts {
	enum origin origin;
	enum author_state author;
	gboolean sender_internal; /* the author or the envelope sender is an address of ours */
	gboolean observe;         /* mode of the sending side */

	/* preferences of the sending side */
	gboolean smime;
	enum encrypt_mode encrypt_mode;
	enum sign_mode sign_mode;
	enum reply_encrypt reply_encrypt;
	gboolean protect_internal;
	enum trigger_when_off trigger_when_off;
	enum accept_foreign accept_foreign;
	enum copy_digest digest;
	gboolean include_chain;
	enum header_protection header_protection;

	/* the message itself */
	gboolean encrypt_trigger;
	gboolean sign_trigger;
	gboolean plain_trigger;
	gboolean calendar;
	enum arrived arrived;
	enum able foreign_signature;     /* with ARRIVED_SIGNED: is it valid for the author */
	gboolean content_type_ambiguous; /* several differing Content-Type fields */
	enum able answer;                /* to a message that was decrypted for its author */
	gboolean null_sender;            /* or a report of trusted origin: nobody wrote it */
	gboolean sign_bounces;
	guint64 size_max_bytes; /* 0: none */
	struct copy_sizes sizes;

	enum able signer;     /* a valid certificate of the author with its key */
	enum request request; /* with ABLE_NO */
};

struct recipient_facts {
	enum locality locality;
	gboolean smime;
	enum encrypt_mode encrypt_mode;
	gboolean protect_internal;
	gboolean observe;
	enum on_spoofed on_spoofed;
	enum calendar_mode calendar;
	enum signing_format format;
	enum signature_scheme scheme;
	enum copy_cipher cipher;
	enum copy_transport transport;
	enum copy_keys keys;
	guint additional_set; /* equal number: the same additional certificates */
	gboolean additional_missing;
	gboolean additional_required;
	gboolean named;  /* in a To, Cc, Resent-To or Resent-Cc field */
	gboolean single; /* single_recipient: his copy names nobody else */
	enum header_protection header_protection;
	gboolean foreign_matching; /* the message's recipientInfos name a certificate of his */
	enum able certificate;     /* at least one valid encryption certificate */
	gboolean directory_open;   /* with ABLE_UNKNOWN: because of a directory */

	/* Inbound: what was found ... */
	enum inbound_state inbound;
	gboolean key_named;         /* one of his: no refusal may tell what came of it */
	gboolean decrypt_off;       /* with INBOUND_CLOSED: because he wants it so */
	gboolean came_encrypted;    /* all of it, whoever may open it */
	gboolean signature_claimed; /* a signature is there, or what is named one */
	gboolean signature_removable;
	enum mail_verdict verdict;
	enum opened_html html;
	guint opening; /* equal number: the same reading; 0: none */
	guint tag_set; /* equal number: the same tags in front of the Subject; 0: none */
	/* ... and what is wanted; require_* the stricter of his and the From domain's. */
	enum keep_signature keep_signature;
	enum on_finding on_invalid_signature;
	enum on_finding on_undecryptable;
	enum unauthenticated_html unauthenticated_html;
	gboolean require_signed;
	gboolean require_encrypted;
};

#endif
