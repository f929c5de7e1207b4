/*
 * authority_files - what of a CA leaves the gateway (C14), and the extensions that come in (C16).
 */
#include "admin/api/authority.h"
#include "admin/api/authority_installer.h"
#include "admin/api/ca_context.h"
#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "admin/mail/mailer.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/csr.h"
#include "pki/crypto/issue_extensions.h"
#include "pki/ca_profile.h"
#include "store/base/error.h"
#include "store/ca_issuing.h"
#include "store/ca_lists.h"
#include "store/crls.h"
#include "store/db/tx.h"

/* One file a part; all of them unless one was named. */
static json_t *
export_crl(struct call *call, const char *thumbprint, GError **error)
{
	gint64 part = call_int(call, "part", -1);
	g_autoptr(GPtrArray) lists = ca_lists_find(call->gateway->db, thumbprint, error);

	if (lists == NULL)
		return NULL;
	json_t *files = json_array();
	for (guint i = 0; i < lists->len; i++) {
		const struct ca_list_row *list = g_ptr_array_index(lists, i);

		if (list->thumbprint == NULL || (part >= 0 && list->partition != part))
			continue;
		CLEANUP(crl_row)
		struct crl_row *crl = crls_find(call->gateway->db, list->thumbprint, error);
		if (crl == NULL) {
			json_decref(files);
			return NULL;
		}
		g_autofree char *name =
		    list->partition == 0
			? g_strdup("ca.crl")
			: g_strdup_printf("ca-%" G_GINT64_FORMAT ".crl", list->partition);
		json_array_append_new(files, answer_file(name, crl->der));
	}
	if (json_array_size(files) == 0) {
		json_decref(files);
		return fail(error, PS_ERROR_NOT_FOUND, "there is no such list: postseal ca crl");
	}
	return json_pack("{s:o}", "files", files);
}

static json_t *
export_csr(struct call *call, const struct ca_row *row, GError **error)
{
	g_autoptr(GBytes) der = ca_external_csr(call->gateway->db, row->name, error);

	if (der == NULL)
		return NULL;
	char *pem = csr_to_pem(der);
	g_autoptr(GBytes) bytes = g_bytes_new_take(pem, strlen(pem));
	return json_pack("{s:[o]}", "files", answer_file("ca.csr", bytes));
}

static gboolean
is_root(const struct ca_row *row, const char *name)
{
	return name != NULL && row->root_thumbprint != NULL &&
	       strcmp(row->root_thumbprint, name) == 0;
}

json_t *
ca_export(struct call *call, GError **error)
{
	const char *format = call_text(call, "format") != NULL ? call_text(call, "format") : "pem";
	CLEANUP(ca_row) struct ca_row *row = authority_find(call, error);

	if (row == NULL)
		return NULL;
	if (call_flag(call, "crl"))
		return export_crl(call,
				  call_flag(call, "root") || is_root(row, call_text(call, "ca"))
				      ? row->root_thumbprint
				      : row->thumbprint,
				  error);
	if (call_flag(call, "csr"))
		return export_csr(call, row, error);
	g_autoptr(GPtrArray) certs = ca_chain(call->gateway->db, row, error);
	if (certs == NULL)
		return NULL;
	if ((call_flag(call, "root") || strcmp(format, "der") == 0) && certs->len > 1) {
		/* The root is last; der holds one, and that is the one people install. */
		struct cert *root = cert_ref(g_ptr_array_index(certs, certs->len - 1));
		g_ptr_array_set_size(certs, 0);
		g_ptr_array_add(certs, root);
	}
	return cert_text_file(certs, format, "ca", error);
}

/* --- installer --- */

static struct cert *
find_root(struct call *call, const struct ca_row *row, GError **error)
{
	g_autoptr(GPtrArray) certs = ca_chain(call->gateway->db, row, error);

	if (certs == NULL)
		return NULL;
	if (row->root_thumbprint == NULL || certs->len == 0)
		return fail(error, PS_ERROR_INVALID,
			    "the root of CA '%s' is somebody else's: he hands it out", row->name);
	return cert_ref(g_ptr_array_index(certs, certs->len - 1));
}

json_t *
ca_installer(struct call *call, GError **error)
{
	const char *platform = call_text(call, "platform");
	CLEANUP(ca_row) struct ca_row *row = authority_find(call, error);
	CLEANUP(cert) struct cert *root = row != NULL ? find_root(call, row, error) : NULL;

	if (root == NULL)
		return NULL;
	gboolean windows = strcmp(platform, "windows") == 0;
	char *script =
	    windows ? authority_installer_windows(root) : authority_installer_linux(root);
	g_autoptr(GBytes) bytes = g_bytes_new_take(script, strlen(script));
	return json_pack("{s:[o]}", "files",
			 answer_file(windows ? "install-root.ps1" : "install-root.sh", bytes));
}

/* --- send --- */

struct sending {
	struct ca_row *row;
	GPtrArray *certs; /* root last */
	GStrv to;
};

static char *
mail_text(const struct cert *root)
{
	g_autofree char *spaced = authority_fingerprint(cert_sha256(root));
	g_autofree char *end = clock_format(cert_not_after(root));

	return g_strdup_printf(
	    "Attached are the certificates of a certification authority that signs mail of our "
	    "house.\n\n"
	    "root.cer is its root. Whoever takes it as trusted believes the certificates that it\n"
	    "issues. Do so only after comparing its fingerprint with one that you have from\n"
	    "another source: by telephone, on paper, from our web site.\n\n"
	    "    Subject:      %s\n"
	    "    SHA-256:      %s\n"
	    "    Valid until:  %.10s\n\n"
	    "chain.p7b has the root and what stands between it and the users' certificates.\n\n"
	    "Neither file is secret.\n",
	    cert_subject(root), spaced, end);
}

static json_t *
send_certs(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct sending *sending = data;
	const struct cert *root = sending->certs->pdata[sending->certs->len - 1];
	g_autoptr(GBytes) chain = bundle_write_pkcs7(sending->certs, FALSE, error);
	g_autofree char *text = mail_text(root);
	g_autofree char *subject = g_strdup_printf("Certificates of %s", cert_common_name(root));
	json_t *items;

	if (chain == NULL)
		return NULL;
	const struct mail_attachment attachments[] = {
		{ "root.cer", "application/pkix-cert", cert_der(root) },
		{ "chain.p7b", "application/pkcs7-mime; smime-type=certs-only", chain },
	};
	items = json_array();
	for (char **to = sending->to; *to != NULL; to++) {
		const struct mail mail = { .to = *to,
					   .subject = subject,
					   .text = text,
					   .attachments = attachments,
					   .attachment_count = G_N_ELEMENTS(attachments) };
		gint64 id;

		if (!mailer_queue(change->call->gateway, tx, &mail, &id, error)) {
			json_decref(items);
			return NULL;
		}
		json_array_append_new(items,
				      json_pack("{s:o, s:I, s:s}", "to", answer_text(*to), "outbox",
						(json_int_t)id, "outcome", "queued"));
	}
	g_autofree char *list = g_strjoinv(" ", sending->to);
	change->object = g_strdup(sending->row->name);
	change->detail = g_strdup_printf("to %s", list);
	return answer_list(items, NULL);
}

json_t *
ca_send(struct call *call, GError **error)
{
	CLEANUP(ca_row) struct ca_row *row = authority_find(call, error);
	g_auto(GStrv) to = call_list(call, "to");
	g_autoptr(GPtrArray) certs = row != NULL ? ca_chain(call->gateway->db, row, error) : NULL;
	struct sending sending = { row, certs, to };

	if (certs == NULL)
		return NULL;
	if (certs->len == 0)
		return fail(error, PS_ERROR_DENIED,
			    "CA '%s' waits for its certificate from the external root", row->name);
	return change_run(call, send_certs, &sending, error);
}

/* --- extensions --- */

json_t *
authority_extensions(const GPtrArray *rows, const char *profile)
{
	json_t *items = json_array();

	for (guint i = 0; i < rows->len; i++) {
		const struct ca_extension_row *row = g_ptr_array_index(rows, i);

		if (profile != NULL && strcmp(profile, row->profile) != 0)
			continue;
		g_autofree char *says = issue_extension_describe(row->name, row->value);
		json_array_append_new(
		    items, json_pack("{s:s, s:o, s:o}", "profile",
				     *row->profile != '\0' ? row->profile : "(all)", "extension",
				     answer_text(row->name), "value", answer_text(says)));
	}
	return items;
}

struct extending {
	struct ca_row *row;
	const char *profile;
	GPtrArray *rows; /* struct ca_extension_row */
};

static json_t *
replace_extensions(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct extending *extending = data;

	if (!ca_extensions_replace(tx, extending->row->id, extending->profile, extending->rows,
				   error))
		return NULL;
	change->object = g_strdup(extending->row->name);
	change->detail =
	    g_strdup_printf("%u extensions in %s", extending->rows->len,
			    *extending->profile != '\0' ? extending->profile : "all profiles");
	return answer_list(authority_extensions(extending->rows, NULL), NULL);
}

static GPtrArray *
read_extensions(struct call *call, const char *profile, GError **error)
{
	const char *name;
	g_autoptr(GBytes) file = call_file(call, "file", 0, &name, error);
	g_autoptr(GPtrArray) texts = file != NULL ? issue_extensions_parse(file, error) : NULL;

	if (texts == NULL)
		return NULL;
	GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)ca_extension_row_free);
	for (guint i = 0; i < texts->len; i++) {
		const struct issue_extension_text *text = g_ptr_array_index(texts, i);
		struct ca_extension_row *row = g_new0(struct ca_extension_row, 1);

		row->profile = g_strdup(profile);
		row->name = g_strdup(text->name);
		row->value = g_strdup(text->value);
		g_ptr_array_add(rows, row);
	}
	return rows;
}

json_t *
ca_set_extensions(struct call *call, GError **error)
{
	const char *profile = call_text(call, "profile");
	gboolean from_file = call_file_count(call, "file") > 0;
	CLEANUP(ca_row) struct ca_row *row = authority_find(call, error);

	if (row == NULL)
		return NULL;
	if (profile != NULL && ca_profile_named(profile) == NULL)
		return ca_profile_check(profile, error)
			   ? fail(error, PS_ERROR_INVALID,
				  "name the profile in full: %s-multipurpose or %s-strict", profile,
				  profile)
			   : NULL;
	if (!from_file && !call_flag(call, "remove")) {
		g_autoptr(GPtrArray) rows = ca_extensions_list(call->gateway->db, row->id, error);

		return rows != NULL ? answer_list(authority_extensions(rows, profile), NULL) : NULL;
	}
	g_autoptr(GPtrArray) rows =
	    from_file ? read_extensions(call, profile != NULL ? profile : "", error)
		      : g_ptr_array_new_with_free_func((GDestroyNotify)ca_extension_row_free);
	struct extending extending = { row, profile != NULL ? profile : "", rows };
	return rows != NULL ? change_run(call, replace_extensions, &extending, error) : NULL;
}
