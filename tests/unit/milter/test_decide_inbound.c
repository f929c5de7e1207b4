/*
 * The inbound half of the decision: cases for people to read, then every combination of its inputs
 * against what must never happen. Every case begins with a stranger's message to somebody of ours.
 */
#include "milter/policy/decide.h"

#include <string.h>

#include "tests/unit/milter/reasons_seen.h"

static struct message_facts m;
static struct recipient_facts r;

static void
ordinary_message(void)
{
	m = (struct message_facts){ .origin = ORIGIN_UNTRUSTED, .author = AUTHOR_NO_LOGIN };
	r = (struct recipient_facts){ .locality = LOCALITY_INTERNAL,
				      .smime = TRUE,
				      .verdict = MAIL_UNSIGNED };
}

#define READ(state, mail_verdict)                                                                  \
	r.inbound = INBOUND_##state;                                                               \
	r.verdict = MAIL_##mail_verdict;                                                           \
	r.opening = 1;                                                                             \
	r.signature_claimed = r.signature_removable = r.verdict != MAIL_UNSIGNED;                  \
	r.came_encrypted = r.key_named = r.inbound != INBOUND_VERIFIED

#define CLOSED                                                                                     \
	READ(CLOSED, UNDECRYPTABLE);                                                               \
	r.signature_claimed = r.signature_removable = FALSE

/* What is done, in letters: open, strip, defuse, tags, results, quarantine, headers alone back. */
static const char *
done(const struct plan *plan)
{
	static char text[8];
	char *at = text;

	if (plan->open)
		*at++ = 'o';
	if (plan->strip)
		*at++ = 's';
	if (plan->defuse)
		*at++ = 'd';
	if (plan->tag_set != 0)
		*at++ = 't';
	if (plan->results)
		*at++ = 'r';
	if (plan->quarantine)
		*at++ = 'q';
	if (plan->headers_only)
		*at++ = 'h';
	*at = '\0';
	return text;
}

static void
check(const char *name, enum outcome outcome, enum reason reason, const char *expected)
{
	struct plan plan;

	decide(&m, &r, &plan);
	reasons_seen(plan.reason);
	if (plan.outcome != outcome || plan.reason != reason ||
	    strcmp(done(&plan), expected) != 0) {
		g_test_message("%s: got %s %s '%s' [%s]", name, decide_outcome_name(plan.outcome),
			       reason_name(plan.reason), done(&plan), decide_row_text(plan.row));
		g_test_fail();
	}
	ordinary_message();
}

#define CASE(name, difference, outcome, reason, expected)                                          \
	do {                                                                                       \
		difference;                                                                        \
		check(name, OUTCOME_##outcome, REASON_##reason, expected);                         \
	} while (0)

static void
test_delivered(void)
{
	ordinary_message();
	CASE("nothing protected: untouched", (void)0, LEAVE, LEAVE_INBOUND, "");
	CASE("a valid signature: told of", READ(VERIFIED, VALID), READ, VERIFIED_VALID, "r");
	CASE("a bad one: told of", READ(VERIFIED, BAD), READ, VERIFIED_INVALID, "r");
	CASE("certificates alone: told of", READ(VERIFIED, UNSIGNED), READ, VERIFIED_UNSIGNED, "r");
	CASE("decrypted: opened, and no bounce returns it", READ(OPENED, UNSIGNED), READ, DECRYPTED,
	     "orh");
	CASE("with tags", READ(OPENED, VALID); r.tag_set = 3, READ, DECRYPTED, "otrh");
	CASE("remove-valid takes a valid signature off", READ(VERIFIED, VALID);
	     r.keep_signature = KEEP_REMOVE_VALID, READ, VERIFIED_VALID, "sr");
	CASE("remove-valid leaves a bad one", READ(VERIFIED, BAD);
	     r.keep_signature = KEEP_REMOVE_VALID, READ, VERIFIED_INVALID, "r");
	CASE("remove takes a bad one off", READ(VERIFIED, BAD);
	     r.keep_signature = KEEP_REMOVE, READ, VERIFIED_INVALID, "sr");
	CASE("nothing to take off", READ(OPENED, UNSIGNED);
	     r.keep_signature = KEEP_REMOVE, READ, DECRYPTED, "orh");
	CASE("closed: told of, and nothing else of it", CLOSED;
	     r.tag_set = 3, READ, LEAVE_UNDECRYPTABLE, "rh");
	CASE("closed by his own wish: untouched", CLOSED;
	     r.decrypt_off = TRUE, LEAVE, LEAVE_DECRYPT_OFF, "");
	CASE("smime off: untouched", READ(OPENED, VALID);
	     r.smime = FALSE, LEAVE, LEAVE_INBOUND, "");
	CASE("observed: untouched", READ(OPENED, VALID); r.observe = TRUE, LEAVE, DECRYPTED, "");
	CASE("HTML that nothing vouches for", READ(OPENED, UNSIGNED); r.html = OPENED_HTML_FOUND;
	     r.unauthenticated_html = UNAUTHENTICATED_DEFUSE, READ, DECRYPTED, "odrh");
	CASE("the same, as it is", READ(OPENED, UNSIGNED);
	     r.html = OPENED_HTML_FOUND, READ, DECRYPTED, "orh");
	CASE("HTML that cannot be defused: closed", READ(OPENED, UNSIGNED);
	     r.html = OPENED_HTML_UNREADABLE;
	     r.unauthenticated_html = UNAUTHENTICATED_DEFUSE, READ, LEAVE_UNDECRYPTABLE, "rh");
	CASE("an internal sender from outside is read as well", READ(VERIFIED, VALID);
	     m.sender_internal = TRUE, READ, VERIFIED_VALID, "r");
}

static void
test_held_and_refused(void)
{
	ordinary_message();
	CASE("unknown: deferred", READ(UNKNOWN, UNSIGNED), DEFER, DEFERRED_INBOUND, "");
	CASE("unknown, and nobody wrote it: deferred", READ(UNKNOWN, UNSIGNED);
	     m.null_sender = TRUE, DEFER, DEFERRED_INBOUND, "");
	CASE("invalid, quarantine", READ(VERIFIED, BAD);
	     r.on_invalid_signature = ON_FINDING_QUARANTINE, READ, QUARANTINED_SIGNATURE, "q");
	CASE("invalid, reject", READ(VERIFIED, BAD);
	     r.on_invalid_signature = ON_FINDING_REJECT, REFUSE, REFUSED_SIGNATURE, "");
	CASE("invalid inside of an encryption, reject: held", READ(OPENED, BAD);
	     r.on_invalid_signature = ON_FINDING_REJECT, READ, QUARANTINED_SIGNATURE, "q");
	CASE("invalid, reject, null sender: held", READ(VERIFIED, BAD); m.null_sender = TRUE;
	     r.on_invalid_signature = ON_FINDING_REJECT, READ, QUARANTINED_SIGNATURE, "q");
	CASE("closed, quarantine", CLOSED;
	     r.on_undecryptable = ON_FINDING_QUARANTINE, READ, QUARANTINED_UNDECRYPTABLE, "q");
	CASE("no key of his is named, reject", CLOSED; r.key_named = FALSE;
	     r.on_undecryptable = ON_FINDING_REJECT, REFUSE, REFUSED_UNDECRYPTABLE, "");
	CASE("a key was used, reject: held", CLOSED;
	     r.on_undecryptable = ON_FINDING_REJECT, READ, QUARANTINED_UNDECRYPTABLE, "q");
	CASE("HTML, hold", READ(OPENED, UNSIGNED); r.html = OPENED_HTML_FOUND;
	     r.unauthenticated_html = UNAUTHENTICATED_HOLD, READ, QUARANTINED_HTML, "q");
	CASE("require_signed, plain", r.require_signed = TRUE, REFUSE, REFUSED_UNSIGNED, "");
	CASE("require_signed, bad", READ(VERIFIED, BAD);
	     r.require_signed = TRUE, REFUSE, REFUSED_UNSIGNED, "");
	CASE("require_signed, valid", READ(VERIFIED, VALID);
	     r.require_signed = TRUE, READ, VERIFIED_VALID, "r");
	CASE("require_signed, decrypted and unsigned: held", READ(OPENED, UNSIGNED);
	     r.require_signed = TRUE, READ, QUARANTINED_UNSIGNED, "q");
	CASE("require_signed, decryption failed: held alike", CLOSED;
	     r.require_signed = TRUE, READ, QUARANTINED_UNSIGNED, "q");
	CASE("require_signed of the domain, his smime off", r.smime = FALSE;
	     r.require_signed = TRUE, REFUSE, REFUSED_UNSIGNED, "");
	CASE("require_signed, null sender: cut", m.null_sender = TRUE;
	     r.require_signed = TRUE, CUT, LEAVE_CUT, "");
	CASE("require_encrypted, signed", READ(VERIFIED, VALID);
	     r.require_encrypted = TRUE, REFUSE, REFUSED_UNENCRYPTED, "");
	CASE("require_encrypted, opened", READ(OPENED, UNSIGNED);
	     r.require_encrypted = TRUE, READ, DECRYPTED, "orh");
}

/* ---- every combination ---------------------------------------------------------------------- */

/* What reaches the recipient's mailbox by itself: all, not now, not at all. */
static guint
rank_of(const struct plan *p)
{
	if (p->would == OUTCOME_DEFER || p->would == OUTCOME_REFUSE)
		return 2;
	return p->quarantine || p->would == OUTCOME_CUT ? 1 : 0;
}

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			g_test_message("broken: %s, row %s", #condition, decide_row_text(p->row)); \
			g_test_fail();                                                             \
		}                                                                                  \
	} while (0)

static void
holds(const struct plan *p)
{
	gboolean read = r.inbound == INBOUND_VERIFIED || r.inbound == INBOUND_OPENED;
	gboolean shown = p->would == OUTCOME_LEAVE || (p->would == OUTCOME_READ && !p->quarantine);

	HOLDS(p->direction == DIRECTION_INBOUND);
	HOLDS(p->outcome != OUTCOME_DO && !p->sign && !p->encrypt);
	/* Whoever sent it learns nothing of what a key was tried on. */
	if (r.key_named && !(r.require_encrypted && !r.came_encrypted))
		HOLDS(p->would != OUTCOME_REFUSE || p->row == ROW_SPOOFED_REJECT);
	if (m.null_sender)
		HOLDS(p->would != OUTCOME_REFUSE);
	if (p->quarantine)
		HOLDS(strcmp(done(p), "q") == 0 && p->opening == 0);
	if (p->observed) {
		HOLDS(p->outcome == OUTCOME_LEAVE && *done(p) == '\0');
		return;
	}
	HOLDS(!p->open || (r.inbound == INBOUND_OPENED && p->headers_only));
	HOLDS(!p->strip || r.signature_removable);
	HOLDS(!p->defuse || r.html != OPENED_HTML_NONE);
	HOLDS(p->opening == 0 || read);
	if (r.html != OPENED_HTML_NONE && r.unauthenticated_html == UNAUTHENTICATED_HOLD)
		HOLDS(!p->open);
	if (r.html == OPENED_HTML_UNREADABLE && r.unauthenticated_html != UNAUTHENTICATED_DELIVER)
		HOLDS(!p->open);
	if (r.html == OPENED_HTML_FOUND && r.unauthenticated_html == UNAUTHENTICATED_DEFUSE)
		HOLDS(!p->open || p->defuse);
	if (r.require_signed)
		HOLDS(!shown || (read && r.verdict == MAIL_VALID));
	if (r.require_encrypted)
		HOLDS(!shown || r.came_encrypted);
	if (r.inbound == INBOUND_UNKNOWN)
		HOLDS(!shown);
	if (!r.smime && !r.require_signed && !r.require_encrypted && r.inbound != INBOUND_UNKNOWN)
		HOLDS(p->would == OUTCOME_LEAVE || p->row == ROW_SPOOFED_REJECT);
}

static void
test_all(void)
{
	static guint v[16];
	static const guint counts[] = { 5, 4, 2, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2 };
	static const enum mail_verdict verdicts[] = { MAIL_VALID, MAIL_BAD, MAIL_UNSIGNED,
						      MAIL_UNDECRYPTABLE };
	guint64 total = 0;
	gboolean more = TRUE;

	memset(v, 0, sizeof v);
	while (more && !g_test_failed()) {
		struct plan plan, stricter;

		ordinary_message();
		r.inbound = (enum inbound_state)v[0];
		r.verdict = verdicts[v[1]];
		r.key_named = v[2] != 0;
		r.on_invalid_signature = (enum on_finding)v[3];
		r.on_undecryptable = (enum on_finding)v[4];
		r.unauthenticated_html = (enum unauthenticated_html)v[5];
		r.html = r.inbound == INBOUND_OPENED ? (enum opened_html)v[6] : OPENED_HTML_NONE;
		r.keep_signature = (enum keep_signature)v[7];
		r.came_encrypted = r.key_named || r.inbound >= INBOUND_OPENED;
		r.signature_claimed = r.signature_removable = v[8] != 0;
		r.require_signed = v[9] != 0;
		r.require_encrypted = v[10] != 0;
		r.smime = v[11] == 0;
		r.decrypt_off = r.inbound == INBOUND_CLOSED && v[12] != 0;
		r.opening = r.inbound != INBOUND_NOTHING ? 7 : 0;
		r.tag_set = v[12];
		m.null_sender = v[13] != 0;
		m.sender_internal = v[14] != 0;
		r.on_spoofed = v[14] != 0 ? SPOOFED_REJECT : SPOOFED_INBOUND;
		r.observe = v[15] != 0;
		decide(&m, &r, &plan);
		holds(&plan);
		r.require_signed = TRUE;
		decide(&m, &r, &stricter);
		if (!plan.observed && rank_of(&stricter) < rank_of(&plan)) {
			g_test_message("require_signed weakens %s", decide_row_text(plan.row));
			g_test_fail();
		}
		total++;
		more = FALSE;
		for (guint i = 0; i < G_N_ELEMENTS(counts) && !more; i++) {
			v[i] = v[i] + 1 == counts[i] ? 0 : v[i] + 1;
			more = v[i] != 0;
		}
	}
	g_test_message("%" G_GUINT64_FORMAT " combinations decided", total);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/decide/inbound/delivered", test_delivered);
	g_test_add_func("/decide/inbound/held-and-refused", test_held_and_refused);
	g_test_add_func("/decide/inbound/all", test_all);
	return g_test_run();
}
