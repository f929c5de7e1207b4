/*
 * The decision as sixty cases for people to read. Every case begins with the same message: an
 * author of ours who may sign and has a certificate writes through our network to an external
 * recipient with a valid certificate; sign_mode is if-possible, encrypt_mode allow on both sides.
 * Each row says what is different, and what then happens.
 */
#include "milter/policy/decide.h"

#include <string.h>

#include "tests/unit/milter/reasons_seen.h"

static struct message_facts m;
static struct recipient_facts r;

static void
ordinary_message(void)
{
	m = (struct message_facts){
		.origin = ORIGIN_TRUSTED,
		.author = AUTHOR_CONFIRMED,
		.sender_internal = TRUE,
		.smime = TRUE,
		.encrypt_mode = ENCRYPT_ALLOW,
		.sign_mode = SIGN_IF_POSSIBLE,
		.trigger_when_off = TRIGGER_OFF_REFUSE,
		.include_chain = TRUE,
		.sizes = { 110, 140, 190 },
		.signer = ABLE_YES,
	};
	r = (struct recipient_facts){
		.smime = TRUE,
		.encrypt_mode = ENCRYPT_ALLOW,
		.calendar = CALENDAR_NORMAL,
		.named = TRUE,
		.certificate = ABLE_YES,
	};
}

/* What becomes of the message, in a word each. */
#define PLAIN OUTCOME_LEAVE, FALSE, FALSE
#define CUT OUTCOME_CUT, FALSE, FALSE
#define SIGNED OUTCOME_DO, TRUE, FALSE
#define ENCRYPTED OUTCOME_DO, FALSE, TRUE
#define SIGNED_ENCRYPTED OUTCOME_DO, TRUE, TRUE
#define REFUSED OUTCOME_REFUSE, FALSE, FALSE
#define DEFERRED OUTCOME_DEFER, FALSE, FALSE

#define BOTH_NONE m.encrypt_mode = r.encrypt_mode = ENCRYPT_NONE
#define FROM_OUTSIDE m.origin = ORIGIN_UNTRUSTED
#define RELAYED m.sender_internal = FALSE

struct expected {
	enum outcome outcome;
	gboolean sign, encrypt;
	enum reason reason;
};

static guint cases;

static void
check(const char *name, struct expected expected)
{
	struct plan plan;

	decide(&m, &r, &plan);
	cases++;
	reasons_seen(plan.reason);
	if (plan.outcome != expected.outcome || plan.sign != expected.sign ||
	    plan.encrypt != expected.encrypt || plan.reason != expected.reason) {
		g_test_message("%s: got %s sign=%d encrypt=%d %s [%s], expected %s", name,
			       decide_outcome_name(plan.outcome), plan.sign, plan.encrypt,
			       reason_name(plan.reason), decide_row_text(plan.row),
			       reason_name(expected.reason));
		g_test_fail();
	}
	ordinary_message();
}

#define CASE(name, difference, outcome, reason)                                                    \
	do {                                                                                       \
		difference;                                                                        \
		check(name, (struct expected){ outcome, REASON_##reason });                        \
	} while (0)

static void
test_directions(void)
{
	ordinary_message();
	CASE("nothing special: signed", (void)0, SIGNED, DONE_SIGNED);
	CASE("our own copy comes back: left", m.origin = ORIGIN_REINJECTED, PLAIN,
	     LEAVE_REINJECTED);
	CASE("our own copy comes back, force: left all the same", m.origin = ORIGIN_REINJECTED;
	     r.encrypt_mode = ENCRYPT_FORCE, PLAIN, LEAVE_REINJECTED);
	CASE("internal to internal: left", r.locality = LOCALITY_INTERNAL, PLAIN, LEAVE_INTERNAL);
	CASE("internal to internal, force but not protect_internal: left",
	     r.locality = LOCALITY_INTERNAL;
	     m.encrypt_mode = ENCRYPT_FORCE, PLAIN, LEAVE_INTERNAL);
	CASE("internal to internal, the author's protect_internal: as outbound",
	     r.locality = LOCALITY_INTERNAL;
	     m.protect_internal = TRUE, SIGNED, DONE_SIGNED);
	CASE("internal to internal, the recipient's protect_internal and force: encrypted",
	     r.locality = LOCALITY_INTERNAL;
	     r.protect_internal = TRUE;
	     r.encrypt_mode = ENCRYPT_FORCE, SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("a stranger's mail from our network to us: inbound", RELAYED;
	     r.locality = LOCALITY_INTERNAL, PLAIN, LEAVE_INBOUND);
	CASE("a stranger's mail from outside to us: inbound", FROM_OUTSIDE; RELAYED;
	     r.locality = LOCALITY_INTERNAL, PLAIN, LEAVE_INBOUND);
	CASE("an internal From from outside to us: inbound, never signed", FROM_OUTSIDE;
	     r.locality = LOCALITY_INTERNAL, PLAIN, LEAVE_SPOOFED);
	CASE("an internal From from outside, sign_mode required: still inbound", FROM_OUTSIDE;
	     r.locality = LOCALITY_INTERNAL; m.sign_mode = SIGN_REQUIRED, PLAIN, LEAVE_SPOOFED);
	CASE("an internal From from outside, on_spoofed_internal = reject: refused", FROM_OUTSIDE;
	     r.locality = LOCALITY_INTERNAL;
	     r.on_spoofed = SPOOFED_REJECT, REFUSED, REFUSED_SPOOFED);
	CASE("an internal From from outside to outside: relayed, not signed", FROM_OUTSIDE, PLAIN,
	     PLAIN_UNTRUSTED);
	CASE("a redirect to outside: plain", RELAYED, PLAIN, PLAIN_NOT_WANTED);
	CASE("a redirect to a recipient with force: encrypted, never signed", RELAYED;
	     r.encrypt_mode = ENCRYPT_FORCE, ENCRYPTED, DONE_ENCRYPTED);
	CASE("a redirect: the sender's force counts for nothing", RELAYED;
	     m.encrypt_mode = ENCRYPT_FORCE, PLAIN, PLAIN_NOT_WANTED);
	CASE("backup MX for a recipient with force and no certificate: refused", FROM_OUTSIDE;
	     RELAYED; r.encrypt_mode = ENCRYPT_FORCE;
	     r.certificate = ABLE_NO, REFUSED, REFUSED_NO_CERTIFICATE);
}

static void
test_encryption(void)
{
	ordinary_message();
	m.sign_mode = SIGN_NEVER;
	CASE("allow and no trigger: plain", (void)0, PLAIN, PLAIN_NOT_WANTED);
	m.sign_mode = SIGN_NEVER;
	CASE("allow and a trigger: encrypted", m.encrypt_trigger = TRUE, ENCRYPTED, DONE_ENCRYPTED);
	CASE("a trigger and no certificate: refused", m.encrypt_trigger = TRUE;
	     r.certificate = ABLE_NO, REFUSED, REFUSED_NO_CERTIFICATE);
	CASE("a trigger from outside counts for nothing", m.encrypt_trigger = TRUE; FROM_OUTSIDE;
	     RELAYED, PLAIN, PLAIN_NOT_WANTED);
	CASE("opportunistic with a certificate: encrypted", r.encrypt_mode = ENCRYPT_OPPORTUNISTIC,
	     SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("opportunistic without one: signed only", r.encrypt_mode = ENCRYPT_OPPORTUNISTIC;
	     r.certificate = ABLE_NO, SIGNED, DONE_SIGNED);
	CASE("opportunistic without one, unsigned: plain, and it says why",
	     r.encrypt_mode = ENCRYPT_OPPORTUNISTIC;
	     r.certificate = ABLE_NO; m.sign_mode = SIGN_NEVER, PLAIN, PLAIN_OPPORTUNISTIC);
	CASE("opportunistic and the certificates unknown: deferred",
	     r.encrypt_mode = ENCRYPT_OPPORTUNISTIC;
	     r.certificate = ABLE_UNKNOWN, DEFERRED, DEFERRED_UNKNOWN_CERTIFICATE);
	CASE("opportunistic and a directory has not answered: deferred",
	     r.encrypt_mode = ENCRYPT_OPPORTUNISTIC;
	     r.certificate = ABLE_UNKNOWN; r.directory_open = TRUE, DEFERRED, DEFERRED_DIRECTORY);
	CASE("force and a directory has not answered: deferred", r.encrypt_mode = ENCRYPT_FORCE;
	     r.certificate = ABLE_UNKNOWN; r.directory_open = TRUE, DEFERRED, DEFERRED_DIRECTORY);
	CASE("nobody wants encryption, and a directory has not answered: signed",
	     r.certificate = ABLE_UNKNOWN;
	     r.directory_open = TRUE, SIGNED, DONE_SIGNED);
	CASE("force with a certificate: encrypted", m.encrypt_mode = ENCRYPT_FORCE,
	     SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("force without one: refused", m.encrypt_mode = ENCRYPT_FORCE;
	     r.certificate = ABLE_NO, REFUSED, REFUSED_NO_CERTIFICATE);
	CASE("force of the recipient, smime off at the sender: the demand stands",
	     r.encrypt_mode = ENCRYPT_FORCE;
	     m.smime = FALSE, ENCRYPTED, DONE_ENCRYPTED);
	CASE("force of the sender, smime off at the recipient: the demand stands",
	     m.encrypt_mode = ENCRYPT_FORCE;
	     r.smime = FALSE, SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("smime off on both sides: plain and unsigned", m.smime = r.smime = FALSE, PLAIN,
	     PLAIN_NOT_WANTED);
	CASE("none on both sides and a trigger: refused", BOTH_NONE;
	     m.encrypt_trigger = TRUE, REFUSED, REFUSED_TRIGGER_OFF);
	CASE("none on both sides, a trigger, trigger_when_off = ignore: plain, and it says why",
	     BOTH_NONE;
	     m.encrypt_trigger = TRUE; m.trigger_when_off = TRIGGER_OFF_IGNORE;
	     m.sign_mode = SIGN_NEVER, PLAIN, PLAIN_TRIGGER_IGNORED);
	CASE("the plain trigger lowers opportunistic", r.encrypt_mode = ENCRYPT_OPPORTUNISTIC;
	     m.plain_trigger = TRUE, PLAIN, PLAIN_TRIGGER);
	CASE("the plain trigger does not lower force", r.encrypt_mode = ENCRYPT_FORCE;
	     m.plain_trigger = TRUE, SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("plain and encrypt trigger: encrypt wins", m.plain_trigger = m.encrypt_trigger = TRUE,
	     SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("a required additional certificate is missing: deferred",
	     r.encrypt_mode = ENCRYPT_FORCE;
	     r.additional_missing = r.additional_required = TRUE, DEFERRED, DEFERRED_ADDITIONAL);
	CASE("an additional certificate is missing that is not required: encrypted",
	     r.encrypt_mode = ENCRYPT_FORCE;
	     r.additional_missing = TRUE, SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
}

static void
test_signature(void)
{
	ordinary_message();
	CASE("no certificate for the author, if-possible: plain, and it says why",
	     m.signer = ABLE_NO, PLAIN, PLAIN_NO_SIGNER);
	CASE("no certificate for the author, required: refused", m.signer = ABLE_NO;
	     m.sign_mode = SIGN_REQUIRED, REFUSED, REFUSED_NO_SIGNER);
	CASE("the author's key does not open, if-possible: deferred, not unsigned",
	     m.signer = ABLE_UNKNOWN, DEFERRED, DEFERRED_UNKNOWN_KEY);
	CASE("the login is a colleague's, if-possible: unsigned", m.author = AUTHOR_LOGIN, PLAIN,
	     PLAIN_AUTHOR);
	CASE("the login is a colleague's, required: refused", m.author = AUTHOR_LOGIN;
	     m.sign_mode = SIGN_REQUIRED, REFUSED, REFUSED_AUTHOR);
	CASE("two mailboxes in From: unsigned", m.author = AUTHOR_NONE, PLAIN, PLAIN_AUTHOR);
	CASE("Resent-From: unsigned", m.author = AUTHOR_RESENT, PLAIN, PLAIN_AUTHOR);
	CASE("never and a sign trigger: unsigned, and it says why", m.sign_mode = SIGN_NEVER;
	     m.sign_trigger = TRUE, PLAIN, PLAIN_SIGN_TRIGGER);
	CASE("when-encrypted, not encrypted: unsigned", m.sign_mode = SIGN_WHEN_ENCRYPTED, PLAIN,
	     PLAIN_NOT_WANTED);
	CASE("when-encrypted, encrypted: both", m.sign_mode = SIGN_WHEN_ENCRYPTED;
	     r.encrypt_mode = ENCRYPT_FORCE, SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("if-possible and the plain trigger: unsigned", m.plain_trigger = TRUE, PLAIN,
	     PLAIN_TRIGGER);
	CASE("required and the plain trigger: signed", m.plain_trigger = TRUE;
	     m.sign_mode = SIGN_REQUIRED, SIGNED, DONE_SIGNED);
	CASE("smime off at the author: not signed", m.smime = FALSE, PLAIN, PLAIN_NOT_WANTED);
}

static void
test_special(void)
{
	ordinary_message();
	CASE("an invitation, calendar = plain: neither", m.calendar = TRUE;
	     r.calendar = CALENDAR_PLAIN;
	     r.encrypt_mode = ENCRYPT_OPPORTUNISTIC, PLAIN, PLAIN_CALENDAR);
	CASE("an invitation, calendar = sign-only: signed", m.calendar = TRUE;
	     r.calendar = CALENDAR_SIGN_ONLY;
	     r.encrypt_mode = ENCRYPT_OPPORTUNISTIC, SIGNED, DONE_SIGNED);
	CASE("an invitation, calendar = plain, but force: encrypted", m.calendar = TRUE;
	     r.calendar = CALENDAR_PLAIN;
	     r.encrypt_mode = ENCRYPT_FORCE, SIGNED_ENCRYPTED, DONE_SIGNED_ENCRYPTED);
	CASE("too large to sign, if-possible: unsigned", m.size_max_bytes = 100, PLAIN, PLAIN_SIZE);
	CASE("too large, force: refused", m.size_max_bytes = 100;
	     r.encrypt_mode = ENCRYPT_FORCE, REFUSED, REFUSED_SIZE);
	CASE("too large for both, small enough to encrypt: encrypted", m.size_max_bytes = 150;
	     r.encrypt_mode = ENCRYPT_FORCE, ENCRYPTED, DONE_ENCRYPTED);
	CASE("arrived encrypted, force, accept_foreign_encryption = parsed: left",
	     m.arrived = ARRIVED_ENCRYPTED;
	     m.accept_foreign = ACCEPT_FOREIGN_PARSED;
	     r.encrypt_mode = ENCRYPT_FORCE, PLAIN, LEAVE_PROTECTED);
	CASE("arrived encrypted, force, accept_foreign_encryption = no: refused",
	     m.arrived = ARRIVED_ENCRYPTED;
	     m.accept_foreign = ACCEPT_FOREIGN_NO;
	     r.encrypt_mode = ENCRYPT_FORCE, REFUSED, REFUSED_PROTECTED);
	CASE("arrived encrypted to somebody else, force, matching: refused",
	     m.arrived = ARRIVED_ENCRYPTED;
	     m.accept_foreign = ACCEPT_FOREIGN_MATCHING;
	     r.encrypt_mode = ENCRYPT_FORCE, REFUSED, REFUSED_PROTECTED);
	CASE("arrived signed: not signed again, may be encrypted", m.arrived = ARRIVED_SIGNED;
	     r.encrypt_mode = ENCRYPT_FORCE, ENCRYPTED, DONE_ENCRYPTED);
	CASE("arrived signed by somebody else, required: refused", m.arrived = ARRIVED_SIGNED;
	     m.sign_mode = SIGN_REQUIRED, REFUSED, REFUSED_FOREIGN_SIGNATURE);
	CASE("several Content-Type fields, force: refused", m.content_type_ambiguous = TRUE;
	     r.encrypt_mode = ENCRYPT_FORCE, REFUSED, REFUSED_AMBIGUOUS);
	CASE("null sender, force and no certificate: cut", m.null_sender = TRUE;
	     r.encrypt_mode = ENCRYPT_FORCE; r.certificate = ABLE_NO, CUT, LEAVE_CUT);
	CASE("null sender, opportunistic, certificate unknown: cut", m.null_sender = TRUE;
	     r.encrypt_mode = ENCRYPT_OPPORTUNISTIC; r.certificate = ABLE_UNKNOWN, CUT, LEAVE_CUT);
	CASE("null sender, opportunistic, no certificate: plain", m.null_sender = TRUE;
	     r.encrypt_mode = ENCRYPT_OPPORTUNISTIC;
	     r.certificate = ABLE_NO, PLAIN, PLAIN_OPPORTUNISTIC);
	CASE("null sender, force, too large to encrypt: cut, though it could be signed",
	     m.null_sender = TRUE;
	     m.sign_bounces = TRUE; m.size_max_bytes = 120;
	     r.encrypt_mode = ENCRYPT_FORCE, CUT, LEAVE_CUT);
	CASE("null sender, a trigger although nobody encrypts: cut", m.null_sender = TRUE;
	     m.encrypt_trigger = TRUE; m.encrypt_mode = ENCRYPT_NONE;
	     r.encrypt_mode = ENCRYPT_NONE, CUT, LEAVE_CUT);
	CASE("null sender, arrived encrypted to somebody else, force, matching: cut",
	     m.null_sender = TRUE;
	     m.arrived = ARRIVED_ENCRYPTED; m.accept_foreign = ACCEPT_FOREIGN_MATCHING;
	     r.encrypt_mode = ENCRYPT_FORCE, CUT, LEAVE_CUT);
	CASE("null sender, must be signed and cannot be: left unsigned", m.null_sender = TRUE;
	     m.sign_bounces = TRUE; m.sign_mode = SIGN_REQUIRED;
	     m.signer = ABLE_NO, PLAIN, LEAVE_NULL_SENDER);
	CASE("null sender, force and a certificate: encrypted, not signed", m.null_sender = TRUE;
	     r.encrypt_mode = ENCRYPT_FORCE, ENCRYPTED, DONE_ENCRYPTED);
	CASE("observe at the author: nothing happens, the reason is kept", m.observe = TRUE;
	     r.encrypt_mode = ENCRYPT_FORCE;
	     r.certificate = ABLE_NO, PLAIN, REFUSED_NO_CERTIFICATE);
	CASE("observe at the recipient: the author's force is not enforced", r.observe = TRUE;
	     m.encrypt_mode = ENCRYPT_FORCE, PLAIN, DONE_SIGNED_ENCRYPTED);
}

static void
test_enough(void)
{
	g_test_message("%u cases", cases);
	g_assert_cmpuint(cases, >=, 60);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/decide/cases/directions", test_directions);
	g_test_add_func("/decide/cases/encryption", test_encryption);
	g_test_add_func("/decide/cases/signature", test_signature);
	g_test_add_func("/decide/cases/special", test_special);
	g_test_add_func("/decide/cases/enough", test_enough);
	return g_test_run();
}
