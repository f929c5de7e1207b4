/*
 * choices - the enums of facts.h: what preferences say, and what was found out.
 *
 * Those of preferences run from weak to strict, so that the combination of two sides is the larger;
 * where a list in preferences.def does not run that way the enum says so. Threads: values.
 */
#ifndef MILTER_POLICY_CHOICES_H
#define MILTER_POLICY_CHOICES_H

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

#endif
