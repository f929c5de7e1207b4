/*
 * ca_defaults - what is issued when nobody says otherwise: one table, one row a default (C2).
 */
#include "store/cas.h"

#include <stddef.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"
#include "store/ca_organisation_id.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define TEXT_MAX_BYTES 500

enum default_type {
	TEXT,
	NAME,
	NUMBER,
	FLAG,
	KEY,
	DIGEST,
	ADDRESS,
	URL,
	CPS,
	OIDS,
	ORGANISATION_ID,
	COUNTRY,
	GENERATION,
	KEY_PAIR,
};

static const struct default_info {
	const char *name, *initial, *sentence;
	enum default_type type;
	gint64 from, to;
	size_t offset;
} infos[] = {
#define DEFAULT(member, initial, type, from, to, sentence)                                         \
	{                                                                                          \
#member, initial, sentence, type, from, to, offsetof(struct ca_defaults, member)   \
	}
	DEFAULT(common_name, "", TEXT, 0, 0, "common name of what is issued; empty: as asked for"),
	DEFAULT(validity_days, "365", NUMBER, 1, 3653, "validity of end-user certificates in days"),
	DEFAULT(key, "rsa:3072", KEY, 0, 0, "kind and length of keys that are made here"),
	DEFAULT(digest, "sha256", DIGEST, 0, 0, "digest of the CA's signatures"),
	DEFAULT(mail_from, "", ADDRESS, 0, 0, "sender of mail with PKCS#12 files"),
	DEFAULT(password_bytes, "16", NUMBER, 8, 64, "bytes of randomness in generated passwords"),
	DEFAULT(store_password, "off", FLAG, 0, 0, "keeps the last password with the user"),
	DEFAULT(add_crl_url, "on", FLAG, 0, 0,
		"puts a CRL distribution point in, where there is a URL"),
	DEFAULT(
	    crl_url, "", URL, 0, 0,
	    "http URL of the CRL; %s stands for the CA's key identifier; empty: below public_url"),
	DEFAULT(aia_url, "", URL, 0, 0,
		"http URL of the CA's certificate; %s stands for its key identifier; empty: below "
		"public_url"),
	DEFAULT(
	    ocsp_url, "", URL, 0, 0,
	    "http URL of the OCSP responder; %s stands for the CA's key identifier; empty: below "
	    "public_url"),
	DEFAULT(handler, "builtin", TEXT, 0, 0,
		"request handler where none is named: NAME or NAME/CONFIGURATION"),
	DEFAULT(policy, "", OIDS, 0, 0,
		"certificate policies of your own, beside the one that the profile gives"),
	DEFAULT(cps_url, "", CPS, 0, 0, "URL of your certification practice statement"),
	DEFAULT(organisation, "", NAME, 0, 0,
		"legal name of your organisation, for CAs and for certificates that name one"),
	DEFAULT(organisation_id, "", ORGANISATION_ID, 0, 0,
		"its registration: NTRDE-DER3306.HRB12345, VATDE-123456789, LEIXG-..., GOVUS+CA"),
	DEFAULT(country, "", COUNTRY, 0, 0, "its country, two letters"),
	DEFAULT(generation, "multipurpose", GENERATION, 0, 0,
		"generation of S/MIME profiles: multipurpose or strict"),
	DEFAULT(key_pair, "dual", KEY_PAIR, 0, 0,
		"what keys are for: dual, pair (one to sign, one to encrypt), sign, encrypt"),
	DEFAULT(renew_days, "30", NUMBER, 0, 365,
		"how many days before their end certificates are renewed; 0: never by themselves"),
	DEFAULT(backdate_seconds, "600", NUMBER, 0, 86400,
		"how much earlier a certificate begins, for clocks that are slow"),
	DEFAULT(crl_days, "7", NUMBER, 1, 365, "days until the next CRL"),
	DEFAULT(crl_partition_entries, "100000", NUMBER, 1, 5000000,
		"entries after which a CRL gets its next part"),
	DEFAULT(request_max_age, "30", NUMBER, 1, 3650,
		"days after which an unfinished request is given up"),
#undef DEFAULT
};

static const char *const key_names[] = { "rsa:2048", "rsa:3072", "rsa:4096", "ec:P-256",
					 "ec:P-384" };
static const char *const generation_names[] = { "multipurpose", "strict" };
static const char *const key_pair_names[] = { "dual", "pair", "sign", "encrypt" };
static const char *const digest_names[] = { "sha256", "sha384", "sha512" };

static gboolean
number_parse(const char *text, gint64 from, gint64 to, gint64 *number)
{
	char *end;

	*number = g_ascii_strtoll(text, &end, 10);
	return g_ascii_isdigit(*text) && *end == '\0' && *number >= from && *number <= to;
}

static gboolean
is_one_of(const char *text, const char *const *names, gsize n)
{
	for (gsize i = 0; i < n; i++)
		if (strcmp(names[i], text) == 0)
			return TRUE;
	return FALSE;
}

/* At most one %s and no other conversion, since it becomes part of a format by hand. */
static gboolean
is_url(const char *text)
{
	const char *mark = strchr(text, '%');

	if (*text == '\0')
		return TRUE;
	if (!g_str_has_prefix(text, "http://") || strchr(text, ' ') != NULL)
		return FALSE;
	return mark == NULL || (mark[1] == 's' && strchr(mark + 1, '%') == NULL);
}

static gboolean
is_oid(const char *text)
{
	gboolean digit = FALSE;
	guint dots = 0;

	if (*text < '0' || *text > '2')
		return *text == '\0';
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '.' && !digit)
			return FALSE;
		digit = *p != '.';
		dots += *p == '.';
		if (*p != '.' && !g_ascii_isdigit(*p))
			return FALSE;
	}
	return digit && dots >= 2;
}

/* The profile gives the reserved policy; a second one would contradict it (S/MIME BR 7.1.2.3 a). */
static const char *
oids_complaint(const char *text)
{
	g_auto(GStrv) all = g_strsplit_set(text, " ,", -1);
	guint count = 0;

	for (char **one = all; *one != NULL; one++) {
		if (**one == '\0')
			continue;
		if (!is_oid(*one) || ++count > 10)
			return "takes object identifiers such as 1.3.6.1.4.1.99999.1, at most 10";
		if (g_str_has_prefix(*one, "2.23.140.1.") || strcmp(*one, "2.5.29.32.0") == 0)
			return "takes policies of your own: the reserved one follows from the "
			       "profile";
	}
	return NULL;
}

static gboolean
is_name(const char *text)
{
	if (!g_utf8_validate(text, -1, NULL) || g_utf8_strlen(text, -1) > 64)
		return FALSE;
	for (const char *p = text; *p != '\0'; p = g_utf8_next_char(p))
		if (g_unichar_iscntrl(g_utf8_get_char(p)))
			return FALSE;
	return TRUE;
}

static gboolean
is_cps(const char *text)
{
	return *text == '\0' ||
	       ((g_str_has_prefix(text, "http://") || g_str_has_prefix(text, "https://")) &&
		g_str_is_ascii(text) && strpbrk(text, " <>\"") == NULL);
}

static gboolean
is_country(const char *text)
{
	return *text == '\0' ||
	       (strlen(text) == 2 && g_ascii_isupper(text[0]) && g_ascii_isupper(text[1]));
}

static gboolean
is_address(const char *text)
{
	if (*text == '\0')
		return TRUE;
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(text, NULL);
	return address != NULL && strlen(text) <= TEXT_MAX_BYTES;
}

/* NULL when the value is good, else what it takes. */
static const char *
complaint(const struct default_info *info, const char *value)
{
	gint64 number;

	switch (info->type) {
	case TEXT:
		return strlen(value) <= TEXT_MAX_BYTES ? NULL : "takes at most 500 bytes";
	case NUMBER:
		return number_parse(value, info->from, info->to, &number) ? NULL : "";
	case FLAG:
		return strcmp(value, "on") == 0 || strcmp(value, "off") == 0 ? NULL
									     : "takes on or off";
	case KEY:
		return is_one_of(value, key_names, G_N_ELEMENTS(key_names))
			   ? NULL
			   : "takes rsa:2048, rsa:3072, rsa:4096, ec:P-256 or ec:P-384";
	case DIGEST:
		return is_one_of(value, digest_names, G_N_ELEMENTS(digest_names))
			   ? NULL
			   : "takes sha256, sha384 or sha512";
	case ADDRESS:
		return is_address(value) ? NULL : "takes a mail address";
	case URL:
		return is_url(value) ? NULL : "takes an http:// URL, with at most one %s in it";
	case NAME:
		return is_name(value) ? NULL : "takes a name of at most 64 characters";
	case CPS:
		return is_cps(value) ? NULL : "takes an http:// or https:// URL";
	case OIDS:
		return oids_complaint(value);
	case ORGANISATION_ID:
		return ca_organisation_id_complaint(value);
	case COUNTRY:
		return is_country(value) ? NULL : "takes two capital letters, such as DE";
	case GENERATION:
		return is_one_of(value, generation_names, G_N_ELEMENTS(generation_names))
			   ? NULL
			   : "takes multipurpose or strict";
	case KEY_PAIR:
		return is_one_of(value, key_pair_names, G_N_ELEMENTS(key_pair_names))
			   ? NULL
			   : "takes dual, pair, sign or encrypt";
	}
	return "cannot be set";
}

static void
assign(struct ca_defaults *defaults, const struct default_info *info, const char *value)
{
	void *member = (char *)defaults + info->offset;

	switch (info->type) {
	case NUMBER:
		*(gint64 *)member = g_ascii_strtoll(value, NULL, 10);
		break;
	case FLAG:
		*(gboolean *)member = strcmp(value, "on") == 0;
		break;
	case TEXT:
	case KEY:
	case DIGEST:
	case ADDRESS:
	case URL:
	case NAME:
	case CPS:
	case OIDS:
	case ORGANISATION_ID:
	case COUNTRY:
	case GENERATION:
	case KEY_PAIR:
		g_free(*(char **)member);
		*(char **)member = g_strdup(value);
		break;
	}
}

static const struct default_info *
info_find(const char *name, GError **error)
{
	struct nearest nearest = nearest_start(name);
	g_autofree char *shown = printable(name);

	for (gsize i = 0; i < G_N_ELEMENTS(infos); i++) {
		if (strcmp(infos[i].name, name) == 0)
			return &infos[i];
		nearest_offer(&nearest, infos[i].name);
	}
	const char *found = nearest_found(&nearest);
	return fail(error, PS_ERROR_INVALID, "unknown CA default '%s'%s%s%s", shown,
		    found != NULL ? ", did you mean '" : "", found != NULL ? found : "",
		    found != NULL ? "'?" : "");
}

struct ca_defaults *
ca_defaults_from(const char *const *pairs)
{
	struct ca_defaults *defaults = g_new0(struct ca_defaults, 1);

	for (gsize i = 0; i < G_N_ELEMENTS(infos); i++)
		assign(defaults, &infos[i], infos[i].initial);
	for (; pairs != NULL && *pairs != NULL; pairs++) {
		const char *mark = strchr(*pairs, '=');
		g_autofree char *name =
		    mark != NULL ? g_strndup(*pairs, (gsize)(mark - *pairs)) : NULL;
		const struct default_info *info = name != NULL ? info_find(name, NULL) : NULL;
		if (info != NULL && complaint(info, mark + 1) == NULL)
			assign(defaults, info, mark + 1);
	}
	return defaults;
}

static const struct statement ca_defaults_load_statement = {
	"ca_defaults_load",
	"SELECT name, value FROM ca_default",
};

struct ca_defaults *
ca_defaults_load(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &ca_defaults_load_statement, NULL, error);
	if (rows == NULL)
		return NULL;
	struct ca_defaults *defaults = ca_defaults_from(NULL);
	for (int r = 0; r < rows_count(rows); r++) {
		const struct default_info *info = info_find(rows_text(rows, r, 0), NULL);
		if (info != NULL && complaint(info, rows_text(rows, r, 1)) == NULL)
			assign(defaults, info, rows_text(rows, r, 1));
	}
	return defaults;
}

static const struct statement ca_defaults_set_statement = {
	"ca_defaults_set",
	"INSERT INTO ca_default (name, value) VALUES ($1, $2)"
	" ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed = now()",
};

gboolean
ca_defaults_set(struct tx *tx, const char *name, const char *value, GError **error)
{
	const struct default_info *info = info_find(name, error);

	if (info == NULL)
		return FALSE;
	const char *wrong = complaint(info, value);
	if (wrong != NULL && *wrong == '\0')
		return fail_false(error, PS_ERROR_INVALID,
				  "%s takes a number from %" G_GINT64_FORMAT
				  " to %" G_GINT64_FORMAT,
				  name, info->from, info->to);
	if (wrong != NULL)
		return fail_false(error, PS_ERROR_INVALID, "%s %s", name, wrong);
	struct params *params = params_new();
	params_text(params, name);
	params_text(params, value);
	CLEANUP(rows) struct rows *rows = tx_query(tx, &ca_defaults_set_statement, params, error);
	if (rows == NULL)
		return FALSE;
	tx_changed(tx, CHANGE_CA, NULL);
	return TRUE;
}

static char *
value_text(const struct ca_defaults *defaults, const struct default_info *info)
{
	const void *member = (const char *)defaults + info->offset;

	switch (info->type) {
	case NUMBER:
		return g_strdup_printf("%" G_GINT64_FORMAT, *(const gint64 *)member);
	case FLAG:
		return g_strdup(*(const gboolean *)member ? "on" : "off");
	case TEXT:
	case KEY:
	case DIGEST:
	case ADDRESS:
	case URL:
	case NAME:
	case CPS:
	case OIDS:
	case ORGANISATION_ID:
	case COUNTRY:
	case GENERATION:
	case KEY_PAIR:
		return g_strdup(*(char *const *)member);
	}
	return g_strdup("");
}

GPtrArray *
ca_defaults_describe(const struct ca_defaults *defaults)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

	for (gsize i = 0; i < G_N_ELEMENTS(infos); i++) {
		g_ptr_array_add(texts, g_strdup(infos[i].name));
		g_ptr_array_add(texts, value_text(defaults, &infos[i]));
		g_ptr_array_add(texts, g_strdup(infos[i].sentence));
	}
	return texts;
}

void
ca_defaults_free(struct ca_defaults *defaults)
{
	if (defaults == NULL)
		return;
	g_free(defaults->common_name);
	g_free(defaults->key);
	g_free(defaults->digest);
	g_free(defaults->mail_from);
	g_free(defaults->crl_url);
	g_free(defaults->aia_url);
	g_free(defaults->handler);
	g_free(defaults->policy);
	g_free(defaults->ocsp_url);
	g_free(defaults->cps_url);
	g_free(defaults->organisation);
	g_free(defaults->organisation_id);
	g_free(defaults->country);
	g_free(defaults->generation);
	g_free(defaults->key_pair);
	g_free(defaults);
}
