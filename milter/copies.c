/* copies - see copies.h. */
#include "milter/copies.h"

#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/inbound.h"
#include "milter/marker.h"
#include "milter/message/edits.h"
#include "milter/mta.h"
#include "milter/outbound.h"
#include "milter/policy/ruling.h"
#include "milter/session.h"
#include "milter/structure.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/config/settings.h"

#define PROGRESS_US (20 * G_USEC_PER_SEC)

static void
copy_free(gpointer data)
{
	struct copy *copy = data;

	edits_free(copy->edits);
	g_free(copy);
}

/* ---- one copy ------------------------------------------------------------------------------- */

/* The author's certificate that a signature announces for answers; NULL: the signer's own. */
static const struct cert *
announced_certificate(const struct ruling *ruling, const struct group *group)
{
	const GPtrArray *own = ruling->gathered->own;

	if (own == NULL || own->len == 0 || own->pdata[0] == group->signer)
		return NULL;
	return own->pdata[0];
}

static gboolean
protect(const struct copies_request *request, struct copy *copy, GError **error)
{
	struct outbound_request work = {
		.group = copy->group,
		.encryption = announced_certificate(request->ruling, copy->group),
		.tree = request->structure->tree,
		.area = request->area,
		.now = clock_now(request->gateway->clock),
	};

	copy->made = TRUE;
	return outbound_carry_out(request->outbound, &work, copy->edits, error);
}

static gboolean
read_for(const struct copies_request *request, struct copy *copy, GError **error)
{
	const struct inbound_request work = {
		.gateway = request->gateway,
		.ruling = request->ruling,
		.group = copy->group,
		.headers = request->message->headers,
		.area = request->area,
	};

	copy->made = TRUE;
	return inbound_carry_out(&work, copy->edits, error);
}

static gboolean
carry_out(const struct copies_request *request, struct copy *copy, GError **error)
{
	switch (copy->group->plan.outcome) {
	case OUTCOME_LEAVE:
		return TRUE;
	case OUTCOME_DO:
	case OUTCOME_CUT:
		return protect(request, copy, error);
	case OUTCOME_READ:
		return read_for(request, copy, error);
	case OUTCOME_DEFER:
	case OUTCOME_REFUSE:
		break;
	}
	return fail_false(error, PS_ERROR_BUG, "a copy for recipients who get none");
}

/* Without what is ours. */
static void
copy_begin(const struct copies_request *request, struct copy *copy)
{
	struct headers *headers = request->message->headers;

	edits_free(copy->edits);
	copy->edits = edits_new();
	edits_delete_all(copy->edits, headers, MARKER_FIELD);
	if (!copy->group->observed)
		ruling_clean_header(request->gateway, request->ruling, headers, copy->edits);
}

static guint64
copy_size(const struct copies_request *request, const struct copy *copy)
{
	return edits_message_size(copy->edits, request->message->headers, request->message->body);
}

/*
 * What came in by itself is not refused because it grew: that answer would tell a stranger what was
 * found inside. It stays as it came.
 */
static void
keep_within_size(const struct copies_request *request, struct copy *copy)
{
	gint64 size_max_bytes = gateway_settings(request->gateway)->message_size_max;

	if (copy->group->plan.outcome != OUTCOME_READ || size_max_bytes == 0 ||
	    copy->size <= (guint64)size_max_bytes)
		return;
	log_warning("what was read is larger than message_size_max: delivered as it came",
		    "queue_id", request->message->envelope->queue_id);
	copy_begin(request, copy);
	copy->size = copy_size(request, copy);
	copy->made = FALSE;
}

static gboolean
copy_make(const struct copies_request *request, struct copy *copy, GError **error)
{
	copy_begin(request, copy);
	if (!carry_out(request, copy, error))
		return FALSE;
	copy->size = copy_size(request, copy);
	keep_within_size(request, copy);
	return TRUE;
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* A thousand copies take a while: the server must not take us for dead. */
static gboolean
still_at_work(struct mta *mta, gint64 *last_us, GError **error)
{
	gint64 now_us = clock_monotonic_us();

	if (now_us - *last_us < PROGRESS_US)
		return TRUE;
	*last_us = now_us;
	return mta->ops->progress(mta) ||
	       fail_false(error, PS_ERROR_TEMPORARY, "the mail server does not wait any longer");
}

GPtrArray *
copies_make(const struct copies_request *request, GError **error)
{
	const GPtrArray *groups = request->ruling->groups->copies;
	g_autoptr(GPtrArray) copies = g_ptr_array_new_with_free_func(copy_free);
	gint64 last_us = clock_monotonic_us();

	for (guint i = 0; i < groups->len; i++) {
		struct copy *copy = g_new0(struct copy, 1);

		copy->group = g_ptr_array_index(groups, i);
		g_ptr_array_add(copies, copy);
		if (!copy_make(request, copy, error) ||
		    !still_at_work(request->mta, &last_us, error))
			return NULL;
	}
	return g_steal_pointer(&copies);
}

const struct copy *
copies_too_large(const GPtrArray *copies, gint64 size_max_bytes)
{
	for (guint i = 0; size_max_bytes > 0 && i < copies->len; i++) {
		const struct copy *copy = g_ptr_array_index(copies, i);

		if (copy->made && copy->size > (guint64)size_max_bytes)
			return copy;
	}
	return NULL;
}
