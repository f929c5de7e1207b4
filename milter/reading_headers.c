/*
 * reading_headers - header fields inside of a signature or an encryption (RFC 9788 and what was
 * before it).
 */
#include "milter/reading_walk.h"

#include "milter/mime/author.h"
#include "milter/mime/protected.h"
#include "milter/mime/shown.h"

void
walk_compare_author(struct reading_walk *walk, const struct part *root)
{
	const struct mailaddr *author = walk->reading->author;
	CLEANUP(mailaddr) struct mailaddr *inner = NULL;
	gboolean protects =
	    part_parameter(root, "hp") != NULL || part_parameter(root, "protected-headers") != NULL;

	if (!protects || headers_count_of(root->headers, "From") == 0)
		return;
	inner = author_find(root->headers, NULL);
	if (inner == NULL || author == NULL || !mailaddr_equal(inner, author) ||
	    shown_author_doubt(root->headers, inner) != NULL)
		walk->author_differs = TRUE;
}

/* Somebody's good signature over all that is shown; whether he is believed is another matter. */
static gboolean
is_vouched_for(const struct reading *reading)
{
	for (guint i = 0; i < reading->signers->len; i++) {
		const struct reading_signer *signer = reading->signers->pdata[i];

		if (signer->covers && signer->signature == SIGNATURE_GOOD)
			return TRUE;
	}
	return FALSE;
}

void
walk_protected_fields(struct reading_walk *walk, const struct mime_tree *tree)
{
	struct reading *reading = walk->reading;

	if (headers_count_of(tree->root->headers, "Content-Type") > 1)
		return; /* which one counts cannot be told */
	reading->protected_fields = protected_read(
	    tree, walk->headers, walk->covered && is_vouched_for(reading), reading->opened != NULL);
	if (reading->protected_fields != NULL &&
	    protected_author_differs(reading->protected_fields, reading->author))
		walk->author_differs = TRUE;
}
