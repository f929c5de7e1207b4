/*
 * results - words to fields.
 */
#include "milter/results.h"

#include <string.h>
#include <unistd.h>

#include "milter/message/edits.h"
#include "milter/mime/ours.h"
#include "milter/reading.h"
#include "pki/crypto/cert.h"
#include "store/base/clock.h"
#include "store/base/printable.h"
#include "store/config/settings.h"

#define COLUMNS_MAX 77
#define TEXT_MAX_BYTES 200 /* of one foreign text */
#define ROWS_MAX 16        /* layers, signers that are told of */

/* ---- text ----------------------------------------------------------------------------------- */

/* Foreign text in ASCII without line ends. */
static char *
foreign(const char *text)
{
	char *plain = printable_ascii(text != NULL ? text : "");

	if (strlen(plain) > TEXT_MAX_BYTES)
		plain[TEXT_MAX_BYTES] = '\0';
	return plain;
}

static void
append_quoted(GString *out, const char *name, const char *text)
{
	g_autofree char *plain = foreign(text);

	g_string_append_printf(out, " %s=\"", name);
	for (const char *at = plain; *at != '\0'; at++) {
		if (*at == '"' || *at == '\\')
			g_string_append_c(out, '\\');
		g_string_append_c(out, *at);
	}
	g_string_append_c(out, '"');
}

/* A comment may not hold what opens, ends or escapes one, nor what a careless reader, who does not
 * know comments, takes for another result. */
static void
append_comment(GString *out, const char *text)
{
	g_autofree char *plain = foreign(text);

	g_string_append_printf(out, " (%s)", g_strdelimit(plain, "()\\;=\"", '\''));
}

static gboolean
is_token(const char *text)
{
	for (const char *at = text; *at != '\0'; at++)
		if (*at <= 32 || *at >= 127 || strchr("()<>@,;:\\\"/[]?=", *at) != NULL)
			return FALSE;
	return *text != '\0';
}

/* Breaks before blanks; a blank in a quoted string is one, too (RFC 5322 section 3.2.4). */
static char *
fold(const char *name, const char *text)
{
	GString *out = g_string_new(NULL);
	gsize column = strlen(name) + 1;

	while (*text != '\0') {
		gsize word = 1 + strcspn(text + 1, " ");

		if (column + word > COLUMNS_MAX && out->len > 0 && text[1] != ' ' &&
		    text[1] != '\0') {
			g_string_append_c(out, '\n');
			column = 0;
		}
		g_string_append_len(out, text, (gssize)word);
		column += word;
		text += word;
	}
	return g_string_free(out, FALSE);
}

static void
add_field(struct edits *edits, const char *name, const GString *value)
{
	g_autofree char *folded = fold(name, value->str);

	edits_insert_top(edits, name, folded);
}

/* ---- what is said --------------------------------------------------------------------------- */

char *
results_authserv_id(const struct settings *settings)
{
	char host[256] = "localhost";

	if (*settings->authserv_id != '\0')
		return g_strdup(settings->authserv_id);
	(void)gethostname(host, sizeof host - 1);
	return g_strdup(host);
}

static gboolean
is_believed(const struct reading_signer *signer)
{
	return signer->signature == SIGNATURE_GOOD && signer->trust == SIGNER_VALID &&
	       signer->covers;
}

const struct reading_signer *
results_signer(const struct reading *reading)
{
	const struct reading_signer *best = NULL;

	for (guint i = 0; i < reading->signers->len; i++) {
		const struct reading_signer *signer = reading->signers->pdata[i];

		if (signer->cert == NULL || signer->signature != SIGNATURE_GOOD)
			continue;
		if (is_believed(signer) && signer->from_matches)
			return signer;
		if (best == NULL || (is_believed(signer) && !is_believed(best)))
			best = signer;
	}
	return best;
}

const char *
results_word(const struct reading *reading)
{
	if (reading == NULL)
		return "neutral";
	if (reading->unknown)
		return "temperror";
	switch (reading->verdict) {
	case MAIL_VALID:
		return "pass";
	case MAIL_MISMATCH:
	case MAIL_UNTRUSTED:
	case MAIL_PARTIAL:
		return "policy";
	case MAIL_BAD:
		return "fail";
	case MAIL_UNSIGNED:
		return "none";
	case MAIL_UNDECRYPTABLE:
	case MAIL_MALFORMED:
		break;
	}
	return "neutral";
}

static gboolean
is_all_authenticated(const struct reading *reading)
{
	for (guint i = 0; i < reading->layers->len; i++) {
		const struct reading_layer *layer = reading->layers->pdata[i];

		if (layer->opened && !layer->authenticated)
			return FALSE;
	}
	return TRUE;
}

const char *
results_integrity(const struct reading *reading)
{
	if (reading->unauthenticated)
		return "none";
	return is_all_authenticated(reading) ? "tag" : "signature";
}

char *
results_layers(const struct reading *reading)
{
	GString *out = g_string_new(NULL);

	for (guint i = 0; i < reading->layers->len; i++) {
		const struct reading_layer *layer = reading->layers->pdata[i];

		g_string_append_printf(out, "%s%s", i > 0 ? "," : "", layer_type_name(layer->type));
	}
	return g_string_free(out, FALSE);
}

/* The IMAP number of the part with the signature; NULL where it is not delivered as it was. */
static const char *
part_of(const struct results_request *request, const struct reading_signer *signer)
{
	const struct reading_layer *layer;

	if (request->stripped || signer->layer >= request->reading->layers->len)
		return NULL;
	for (guint i = 0; i < signer->layer; i++) {
		const struct reading_layer *outer = request->reading->layers->pdata[i];

		if (outer->type != LAYER_ENCRYPTED || !request->opened)
			return NULL;
	}
	for (guint i = signer->layer; i < request->reading->layers->len; i++) {
		const struct reading_layer *inner = request->reading->layers->pdata[i];

		if (inner->opened)
			return NULL; /* the signature went with what it was around */
	}
	layer = request->reading->layers->pdata[signer->layer];
	return !signer->covers ? NULL : layer->opaque ? "1" : "2";
}

/* ---- Authentication-Results ----------------------------------------------------------------- */

/* Of several addresses the one that From names: another would speak of somebody else. */
static const char *
address_of(const struct reading *reading, const struct reading_signer *signer)
{
	for (guint i = 0; reading->author != NULL && i < signer->emails->len; i++) {
		CLEANUP(mailaddr)
		struct mailaddr *address = mailaddr_parse(signer->emails->pdata[i], NULL);

		if (address != NULL && mailaddr_equal(address, reading->author))
			return signer->emails->pdata[i];
	}
	return signer->emails->pdata[0];
}

static void
append_signer_properties(GString *out, const struct results_request *request)
{
	const struct reading_signer *signer = results_signer(request->reading);
	const char *part;
	g_autofree char *address = NULL;
	g_autofree char *issuer = NULL;

	if (signer == NULL)
		return;
	part = part_of(request, signer);
	if (signer->emails->len > 0) {
		address = g_strdelimit(foreign(address_of(request->reading, signer)), ";", '?');
		if (strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@.-_+") == strlen(address))
			g_string_append_printf(out, " body.smime-identifier=%s", address);
		else
			append_quoted(out, "body.smime-identifier", address);
	}
	if (part != NULL)
		g_string_append_printf(out, " body.smime-part=%s", part);
	g_string_append_printf(out, " body.smime-serial=%s%s",
			       strlen(cert_serial_hex(signer->cert)) % 2 != 0 ? "0" : "",
			       cert_serial_hex(signer->cert));
	issuer = g_strdelimit(g_strdup(cert_issuer(signer->cert)), ";", '?');
	append_quoted(out, "body.smime-issuer", issuer);
}

static void
add_authentication_results(const struct results_request *request, struct edits *edits)
{
	g_autoptr(GString) out = g_string_new(" ");
	const struct reading *reading = request->reading;

	if (is_token(request->authserv_id)) {
		g_string_append(out, request->authserv_id);
	} else {
		g_string_truncate(out, 0);
		append_quoted(out, "", request->authserv_id);
		g_string_erase(out, 1, 1); /* the sign that a name would have */
	}
	g_string_append_printf(out, "; smime=%s", results_word(reading));
	if (reading == NULL) {
		append_comment(out, mail_verdict_name(MAIL_UNDECRYPTABLE));
	} else if (reading->verdict != MAIL_UNSIGNED) {
		g_autofree char *text =
		    g_strdup_printf("%s: %s", mail_verdict_name(reading->verdict), reading->reason);

		append_comment(out, text);
		append_signer_properties(out, request);
	}
	add_field(edits, "Authentication-Results", out);
}

/* ---- X-Postseal-* --------------------------------------------------------------------------- */

static void
add_word(struct edits *edits, const char *name, const char *word)
{
	g_autoptr(GString) out = g_string_new(" ");

	g_string_append(out, word);
	add_field(edits, name, out);
}

static void
add_signer(struct edits *edits, const struct reading *reading, const struct reading_signer *signer,
	   guint number)
{
	g_autofree char *name = g_strdup_printf(OURS_FIELD_PREFIX "Signer-%u", number);
	g_autoptr(GString) out = g_string_new(NULL);

	g_string_append_printf(out, " layer=%u; signature=%s; trust=%s; from=%s; covers=%s",
			       signer->layer + 1, signer_signature_name(signer->signature),
			       signer->unknown ? "unknown" : signer_trust_name(signer->trust),
			       signer->from_matches ? "yes" : "no",
			       signer->covers ? "all" : "part");
	if (signer->emails->len > 0) {
		g_string_append_c(out, ';');
		append_quoted(out, "address", address_of(reading, signer));
	}
	if (signer->subject != NULL && *signer->subject != '\0') {
		g_string_append_c(out, ';');
		append_quoted(out, "subject", signer->subject);
	}
	if (signer->algorithm != NULL) {
		g_string_append_c(out, ';');
		append_quoted(out, "algorithm", signer->algorithm);
	}
	if (signer->signing_time != CLOCK_NEVER) {
		g_autofree char *time = clock_format(signer->signing_time);

		g_string_append_printf(out, "; time=%s", time);
	}
	if (signer->reason != NULL && *signer->reason != '\0') {
		g_string_append_c(out, ';');
		append_quoted(out, "reason", signer->reason);
	}
	add_field(edits, name, out);
}

static void
add_layer(struct edits *edits, const struct reading_layer *layer, guint number)
{
	g_autofree char *name = g_strdup_printf(OURS_FIELD_PREFIX "Layer-%u", number);
	g_autoptr(GString) out = g_string_new(" ");

	g_string_append(out, layer_type_name(layer->type));
	if (layer->type == LAYER_SIGNED)
		g_string_append_printf(out, "; form=%s", layer->opaque ? "opaque" : "clear");
	else if (layer->content_type != NULL)
		append_quoted(g_string_append_c(out, ';'), "type", layer->content_type);
	if (layer->algorithm != NULL)
		append_quoted(g_string_append_c(out, ';'), "algorithm", layer->algorithm);
	if (layer->type == LAYER_ENCRYPTED)
		g_string_append_printf(out, "; opened=%s; tag=%s", layer->opened ? "yes" : "no",
				       layer->authenticated ? "yes" : "no");
	add_field(edits, name, out);
}

static void
add_decrypted(const struct results_request *request, struct edits *edits)
{
	if (request->stripped)
		add_word(edits, OURS_FIELD_PREFIX "Signature-Removed", "yes");
	if (request->defused)
		add_word(edits, OURS_FIELD_PREFIX "HTML", "defused");
	if (!request->opened)
		return;
	add_word(edits, OURS_FIELD_PREFIX "Decryption-Integrity",
		 results_integrity(request->reading));
	add_word(edits, OURS_FIELD_PREFIX "Decrypted", "yes");
}

/* New fields go on top of each other: the last comes first. */
void
results_add(const struct results_request *request, struct edits *edits)
{
	const struct reading *reading = request->reading;
	enum mail_verdict verdict = reading != NULL ? reading->verdict : MAIL_UNDECRYPTABLE;

	for (guint i = reading != NULL ? MIN(reading->signers->len, ROWS_MAX) : 0; i > 0; i--)
		add_signer(edits, reading, reading->signers->pdata[i - 1], i);
	for (guint i = reading != NULL ? MIN(reading->layers->len, ROWS_MAX) : 0; i > 0; i--)
		add_layer(edits, reading->layers->pdata[i - 1], i);
	if (reading != NULL)
		add_decrypted(request, edits);
	add_word(edits, OURS_FIELD_PREFIX "Verdict", mail_verdict_name(verdict));
	add_authentication_results(request, edits);
}
