/*
 * file_reading - a message file read with what the files beside it say of keys and trust.
 */
#include "milter/file_message.h"

#include "milter/mime/protected.h"
#include "milter/reading.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"
#include "store/base/clock.h"
#include "store/base/error.h"

/* --- trust --- */

static void
release_cert(gpointer cert)
{
	cert_unref(cert);
}

static void
release_crl(gpointer crl)
{
	crl_unref(crl);
}

/* What the caller gave and what the message brought: hints both. */
static GPtrArray *
hints_certs(const struct chain_options *chain, const struct cms_verify_report *report)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release_cert);

	for (guint i = 0; chain->untrusted != NULL && i < chain->untrusted->len; i++)
		g_ptr_array_add(all, cert_ref(chain->untrusted->pdata[i]));
	for (guint i = 0; report->certs != NULL && i < report->certs->len; i++) {
		struct cert *cert = cert_parse(report->certs->pdata[i], NULL);

		if (cert != NULL)
			g_ptr_array_add(all, cert);
	}
	return all;
}

static GPtrArray *
hints_crls(const struct chain_options *chain, const struct cms_verify_report *report)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release_crl);

	for (guint i = 0; chain->crls != NULL && i < chain->crls->len; i++)
		g_ptr_array_add(all, crl_ref(chain->crls->pdata[i]));
	for (guint i = 0; report->crls != NULL && i < report->crls->len; i++) {
		struct crl *crl = crl_parse(report->crls->pdata[i], NULL);

		if (crl != NULL)
			g_ptr_array_add(all, crl);
	}
	return all;
}

static gboolean
judge(gpointer data, const struct cms_verify_report *object, const struct cms_signer_report *signer,
      struct signer_judgement *out, GError **error)
{
	const struct message_options *options = data;
	struct chain_options chain = *options->chain;
	g_autoptr(GPtrArray) certs = hints_certs(options->chain, object);
	g_autoptr(GPtrArray) crls = hints_crls(options->chain, object);
	CLEANUP(chain_report) struct chain_report *found = NULL;

	chain.untrusted = certs;
	chain.crls = crls;
	chain.purpose = CHAIN_PURPOSE_SIGN;
	chain.email = NULL; /* From is compared by itself: another word */
	if (options->at_signing_time && signer->signing_time != CLOCK_NEVER)
		chain.at = MIN(chain.at, signer->signing_time);
	if (options->crls_require && object->crls != NULL && object->crls->len > 0)
		chain.revocation = CHAIN_REVOCATION_REQUIRED;
	found = chain_check(signer->cert, &chain, error);
	if (found == NULL)
		return FALSE;
	out->trust = found->verdict == CHAIN_VALID     ? SIGNER_VALID
		     : found->verdict == CHAIN_REVOKED ? SIGNER_REVOKED
						       : SIGNER_INVALID;
	out->reason = g_strdup(found->reason != NULL ? found->reason : "");
	return TRUE;
}

/* --- keys --- */

static GArray *
find_keys(gpointer data, const struct cms_info *info, GError **error)
{
	const struct message_options *options = data;
	g_autoptr(GArray) found = g_array_new(FALSE, TRUE, sizeof(struct cms_decrypt_key));

	(void)info; /* what it names is looked for where it is opened */
	for (guint k = 0; options->keys != NULL && k < options->keys->len; k++) {
		for (guint c = 0; options->certs != NULL && c < options->certs->len; c++) {
			struct cms_decrypt_key key = { options->certs->pdata[c],
						       options->keys->pdata[k] };

			if (key_fits(key.key, key.cert))
				g_array_append_val(found, key);
		}
	}
	if (found->len == 0 && options->password == NULL && options->keys != NULL &&
	    options->keys->len > 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "no certificate that fits the given key: recipients are named by "
			    "their certificates, so give it with the key");
	return g_steal_pointer(&found);
}

/* --- the report --- */

void
message_report_free(struct message_report *report)
{
	if (report == NULL)
		return;
	g_ptr_array_unref(report->layers);
	g_ptr_array_unref(report->signers);
	g_ptr_array_unref(report->parts);
	g_free(report->from);
	g_free(report->reason);
	protected_unref(report->protected_fields);
	spool_unref(report->content);
	g_free(report);
}

/* A header that cannot be read. */
static struct message_report *
report_malformed(const char *why)
{
	struct message_report *report = g_new0(struct message_report, 1);

	report->layers = reading_layers_new();
	report->signers = reading_signers_new();
	report->parts = reading_parts_new();
	report->verdict = MAIL_MALFORMED;
	report->reason = g_strdup(why);
	return report;
}

static struct message_report *
report_of(const struct reading *reading, struct spool *content)
{
	struct message_report *report = g_new0(struct message_report, 1);

	report->is_signed = reading->is_signed;
	report->is_encrypted = reading->is_encrypted;
	report->unauthenticated = reading->unauthenticated;
	report->layers = g_ptr_array_ref(reading->layers);
	report->signers = g_ptr_array_ref(reading->signers);
	report->parts = g_ptr_array_ref(reading->parts);
	report->from = reading->author != NULL ? g_strdup(mailaddr_text(reading->author)) : NULL;
	report->verdict = reading->verdict;
	report->reason = reading->closed == READING_FAILED && reading->detail != NULL
			     ? g_strdup_printf("%s: %s", reading->reason, reading->detail)
			     : g_strdup(reading->reason);
	if (reading->protected_fields != NULL)
		report->protected_fields = protected_ref(reading->protected_fields);
	report->content = content != NULL ? spool_ref(content) : NULL;
	return report;
}

/* What may sign, and what may lend a key its parameters. */
static GPtrArray *
hints_all(const struct chain_options *chain)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release_cert);

	for (guint i = 0; chain != NULL && chain->untrusted != NULL && i < chain->untrusted->len;
	     i++)
		g_ptr_array_add(all, cert_ref(chain->untrusted->pdata[i]));
	for (guint i = 0; chain != NULL && chain->anchors != NULL && i < chain->anchors->len; i++)
		g_ptr_array_add(all, cert_ref(chain->anchors->pdata[i]));
	return all;
}

enum wanted { WANTED_SIGNED, WANTED_DECRYPTED };

static struct message_report *
read_message(struct spool_area *area, struct spool *message, const struct message_options *options,
	     enum wanted wanted, GError **error)
{
	struct reading_options how = { .area = area };
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(reading) struct reading *reading = NULL;
	CLEANUP(spool) struct spool *opened = NULL;
	g_autoptr(GPtrArray) hints = NULL;
	guint64 body = 0;
	GError *failure = NULL;

	if (options != NULL) {
		how.data = (gpointer)options;
		how.keys = find_keys;
		how.password = options->password;
		how.certs = hints = hints_all(options->chain);
		how.no_mail = message_is_bare(message);
		how.judge = options->chain != NULL ? judge : NULL;
		how.legacy = options->chain != NULL && options->chain->allow_legacy;
	}
	headers = headers_parse(message, 0, spool_size(message), &body, &failure);
	if (headers == NULL && g_error_matches(failure, PS_ERROR, PS_ERROR_INVALID)) {
		struct message_report *report = report_malformed(failure->message);

		g_error_free(failure);
		return report;
	}
	if (headers == NULL) {
		g_propagate_error(error, failure);
		return NULL;
	}
	reading = reading_message(headers, message, body, spool_size(message), &how, error);
	if (reading == NULL)
		return NULL;
	if (reading->unknown)
		return fail(error, PS_ERROR_TEMPORARY, "%s", reading->detail);
	if (wanted == WANTED_SIGNED && reading->signed_content != NULL)
		return report_of(reading, reading->signed_content);
	if (reading->opened != NULL &&
	    (opened = entity_bytes(reading->opened, area, error)) == NULL)
		return NULL;
	return report_of(reading, opened);
}

struct message_report *
message_show(struct spool_area *area, struct spool *message, GError **error)
{
	return read_message(area, message, NULL, WANTED_SIGNED, error);
}

struct message_report *
message_verify(struct spool_area *area, struct spool *message,
	       const struct message_options *options, GError **error)
{
	return read_message(area, message, options, WANTED_SIGNED, error);
}

struct message_report *
message_decrypt(struct spool_area *area, struct spool *message,
		const struct message_options *options, GError **error)
{
	return read_message(area, message, options, WANTED_DECRYPTED, error);
}
