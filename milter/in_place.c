/* in_place - see in_place.h. */
#include "milter/in_place.h"

#include "milter/copies.h"
#include "milter/envelope.h"
#include "milter/inbound.h"
#include "milter/message/edits.h"
#include "milter/message/spool.h"
#include "milter/mta.h"
#include "milter/policy/groups.h"
#include "store/base/error.h"

static gboolean
send_edit(struct mta *mta, const struct edit *edit)
{
	switch (edit->kind) {
	case EDIT_CHANGE:
		return mta->ops->change_header(mta, edit->name, edit->occurrence, edit->value);
	case EDIT_DELETE:
		return mta->ops->change_header(mta, edit->name, edit->occurrence, NULL);
	case EDIT_TOP:
		return mta->ops->insert_header(mta, 0, edit->name, edit->value);
	case EDIT_APPEND:
		return mta->ops->append_header(mta, edit->name, edit->value);
	}
	return FALSE;
}

static gboolean
send_body(struct mta *mta, struct spool *body, GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(body, 0, spool_size(body));
	g_autofree guint8 *piece = g_malloc(MTA_CHUNK_MAX_BYTES);
	gboolean sent = FALSE;

	for (;;) {
		gssize length = spool_reader_fill(reader, piece, MTA_CHUNK_MAX_BYTES, error);

		if (length < 0)
			return FALSE;
		if (length == 0 && sent)
			return TRUE;
		if (!mta->ops->replace_body(mta, piece, (gsize)length))
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the mail server took no more of the body");
		sent = TRUE;
	}
}

static gboolean
send_edits(struct mta *mta, struct edits *edits, GError **error)
{
	struct spool *body = edits_body(edits);

	for (guint i = 0; i < edits_count(edits); i++) {
		const struct edit *edit = edits_at(edits, i);

		if (!send_edit(mta, edit))
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the mail server did not take the change of the field %s",
					  edit->name);
	}
	return body == NULL || send_body(mta, body, error);
}

static gboolean
delete_recipients(struct mta *mta, const struct envelope *envelope, const GArray *gone,
		  GError **error)
{
	for (guint i = 0; i < gone->len; i++) {
		const struct envelope_recipient *recipient =
		    g_ptr_array_index(envelope->recipients, g_array_index(gone, guint, i));

		if (!mta->ops->delete_recipient(mta, recipient->argument))
			return fail_false(error, PS_ERROR_TEMPORARY,
					  "the mail server did not take out a recipient");
	}
	return TRUE;
}

gboolean
in_place_hand_over(struct mta *mta, const struct envelope *envelope, const GArray *gone,
		   const struct copy *copy, GError **error)
{
	if (!delete_recipients(mta, envelope, gone, error) || !send_edits(mta, copy->edits, error))
		return FALSE;
	return inbound_hand_over(&copy->group->plan, envelope, mta) ||
	       fail_false(error, PS_ERROR_TEMPORARY,
			  "the mail server did not hold the message, or limit its bounces");
}
