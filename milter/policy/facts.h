/*
 * facts - what the decision about a message rests on: plain values, no pointers.
 *
 * gather.c fills them (I/O), decide.c reads them (pure), tests make them up. What could not be
 * found out is a fact too: ABLE_UNKNOWN. Enums of preferences run from weak to strict, so that the
 * combination of two sides is the larger; where a list in preferences.def does not run that way
 * the enum says so. Threads: values.
 */
#ifndef MILTER_POLICY_FACTS_H
#define MILTER_POLICY_FACTS_H

#include <glib.h>

#include "milter/mime/verdict.h"

enum origin { ORIGIN_UNTRUSTED, ORIGIN_TRUSTED, ORIGIN_REINJECTED };
enum locality { LOCALITY_EXTERNAL, LOCALITY_INTERNAL };
enum encrypt_mode { ENCRYPT_NONE, ENCRYPT_ALLOW, ENCRYPT_OPPORTUNISTIC, ENCRYPT_FORCE };
enum sign_mode { SIGN_NEVER, SIGN_WHEN_ENCRYPTED, SIGN_IF_POSSIBLE, SIGN_REQUIRED };
enum calendar_mode { CALENDAR_PLAIN, CALENDAR_SIGN_ONLY, CALENDAR_NORMAL };
enum reply_encrypt { REPLY_OFF, REPLY_ALLOW, REPLY_FORCE };
/* Strictest last; the preference lists "no" first. */
enum accept_foreign { ACCEPT_FOREIGN_PARSED, ACCEPT_FOREIGN_MATCHING, ACCEPT_FOREIGN_NO };
enum trigger_when_off { TRIGGER_OFF_IGNORE, TRIGGER_OFF_REFUSE };
enum on_refuse { ON_REFUSE_RECIPIENT, ON_REFUSE_MESSAGE };
enum on_spoofed { SPOOFED_INBOUND, SPOOFED_REJECT };
/* RFC 9788: fields inside; with the last one Subject and the like outside no more. */
enum header_protection { HEADERS_OFF, HEADERS_SIGNED, HEADERS_SIGNED_AND_ENCRYPTED };

/* Of a copy: these are choices, not strengths. */
enum signing_format { FORMAT_CLEAR, FORMAT_OPAQUE };
enum signature_scheme { SCHEME_PKCS1, SCHEME_PSS };
enum copy_cipher { CIPHER_AES_256_CBC, CIPHER_AES_128_CBC, CIPHER_AES_256_GCM, CIPHER_AES_128_GCM };
enum copy_transport {
	TRANSPORT_PKCS1,
	TRANSPORT_OAEP_SHA256,
	TRANSPORT_OAEP_SHA384,
	TRANSPORT_OAEP_SHA512
};
enum copy_digest { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
/* Kinds of keys in one CMS object; some programs cannot read an object that mixes them. */
enum copy_keys { KEYS_RSA, KEYS_EC, KEYS_MIXED };

enum able { ABLE_NO, ABLE_YES, ABLE_UNKNOWN };

/* What reading an inbound message with this recipient's keys gave. */
enum inbound_state {
	INBOUND_NOTHING,  /* nothing is protected in it, or nobody asked */
	INBOUND_VERIFIED, /* read, and nothing in it was encrypted */
	INBOUND_OPENED,   /* decrypted, all of it */
	INBOUND_CLOSED,   /* encrypted, and stays so */
	INBOUND_UNKNOWN,  /* keys or trust could not be asked */
};
enum keep_signature { KEEP_SIGNATURE, KEEP_REMOVE_VALID, KEEP_REMOVE };
enum on_finding { ON_FINDING_DELIVER, ON_FINDING_QUARANTINE, ON_FINDING_REJECT };
enum unauthenticated_html { UNAUTHENTICATED_DELIVER, UNAUTHENTICATED_DEFUSE, UNAUTHENTICATED_HOLD };
/* HTML in what was released although nothing vouches for it. */
enum opened_html { OPENED_HTML_NONE, OPENED_HTML_FOUND, OPENED_HTML_UNREADABLE };

/* May this message be signed for the mailbox in From? Only AUTHOR_CONFIRMED is yes. */
enum author_state {
	AUTHOR_CONFIRMED,
	AUTHOR_NONE,     /* no From, several, or one with other than one mailbox */
	AUTHOR_EXTERNAL, /* not an address of ours */
	AUTHOR_RESENT,   /* Resent-From: somebody else's letter */
	AUTHOR_LOGIN,    /* the login is not among the author's */
	AUTHOR_SENDER,   /* no login, and the envelope sender is a stranger's */
	AUTHOR_NO_LOGIN, /* author_check = none-signed, and nobody logged in */
	AUTHOR_STATE_COUNT
};

/* auto_request, where the author has no certificate. */
enum request {
	REQUEST_OFF,     /* nobody asks for one */
	REQUEST_MADE,    /* one is asked for; the message goes by what sign_mode says */
	REQUEST_AWAITED, /* likewise, and the message waits for it: auto_request_wait */
};

/* How the message came: judged by structure and CMS type, never by the label. */
enum arrived { ARRIVED_PLAIN, ARRIVED_SIGNED, ARRIVED_ENCRYPTED };

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
