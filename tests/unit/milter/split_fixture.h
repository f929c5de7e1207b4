/*
 * split_fixture - a message for five recipients in four copies, and one try to hand them over.
 */
#ifndef TESTS_UNIT_MILTER_SPLIT_FIXTURE_H
#define TESTS_UNIT_MILTER_SPLIT_FIXTURE_H

#include "milter/policy/ruling.h"
#include "milter/split.h"
#include "tests/unit/milter/copies_fixture.h"

#define END_OF_SCRIPT                                                                              \
	{                                                                                          \
		SMTP_STAGES, 0, NULL, SMTP_ANSWER, NULL                                            \
	}
#define RECIPIENTS "zoe@corp.example bob@a.example carol@a.example dan@b.example eve@c.example"
#define TEXT                                                                                       \
	"From: Alice <alice@corp.example>\nTo: all\nSubject: hello\n"                              \
	"Message-ID: <1@corp.example>\nDate: Sun, 22 Nov 2026 01:00:00 +0000\n\ntext\n"
#define SPLIT_NAMES 5

extern struct scratch_pg *pg;

/* In place: 0. Injected: {1, 2}, {3}, {4}. */
struct plan_of_copies {
	struct split_request request;
	struct group groups[3];
	struct gathered gathered;
	struct ruling ruling;
};

void plan_up(struct plan_of_copies *plan, struct bench *bench);
void plan_down(struct plan_of_copies *plan);
/* One try of the whole message, as the walk does it. */
enum split_outcome try_once(struct split *split, struct plan_of_copies *plan,
			    struct split_report *report);
/* So many copies came, of each of RECIPIENTS. */
void assert_copies(struct bench *bench, const guint copies[SPLIT_NAMES]);
/* What the listener took, in its order. */
const char *taken_text(struct bench *bench, guint index);

#endif
