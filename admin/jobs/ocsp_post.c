/*
 * ocsp_post - see the header.
 */
#include "admin/jobs/ocsp_post.h"

#include "admin/jobs/scheduler.h"
#include "pki/crypto/ocsp.h"
#include "pki/net/fetch.h"
#include "pki/ocsp_ask.h"
#include "store/base/error.h"

struct ocsp_post {
	struct fetcher *fetcher;
	const struct job_context *context;
};

struct ocsp_post *
ocsp_post_new(const struct settings *settings, const struct job_context *context)
{
	struct ocsp_post *post = g_new0(struct ocsp_post, 1);

	post->fetcher = fetcher_new(settings);
	post->context = context;
	return post;
}

void
ocsp_post_free(struct ocsp_post *post)
{
	if (post == NULL)
		return;
	fetcher_free(post->fetcher);
	g_free(post);
}

static gboolean
go_on(gpointer data)
{
	const struct ocsp_post *post = data;

	return post->context == NULL || !post->context->stopping(post->context);
}

GBytes *
ocsp_post(gpointer data, const char *url, GBytes *request, gint64 *retry_after, GError **error)
{
	struct ocsp_post *post = data;
	const struct fetch_options options = {
		.size_max_bytes = OCSP_ANSWER_MAX_BYTES,
		.timeout_ms = OCSP_TIMEOUT_MS,
		.body = request,
		.content_type = "application/ocsp-request",
		.accept = "application/ocsp-response",
		.retry_after = retry_after,
		.waiting = go_on,
		.waiting_data = post,
	};

	if (post->context != NULL && !post->context->extend(post->context))
		return fail(error, PS_ERROR_TEMPORARY,
			    "another daemon has taken the question over");
	CLEANUP(fetch_answer)
	struct fetch_answer *answer = fetch_url(post->fetcher, url, &options, error);

	return answer != NULL ? g_bytes_ref(answer->values->pdata[0]) : NULL;
}
