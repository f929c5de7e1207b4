/* describe - see describe.h. */
#include "milter/policy/describe.h"

#include "pki/crypto/cert.h"

static void
append_escaped(GString *out, char c)
{
	switch (c) {
	case '"':
		g_string_append(out, "\\\"");
		return;
	case '\\':
		g_string_append(out, "\\\\");
		return;
	case '\n':
		g_string_append(out, "\\n");
		return;
	default:
		g_string_append_printf(out, "\\u%04x", (guint)(guchar)c);
	}
}

static gboolean
is_escaped(char c)
{
	return (guchar)c < 0x20 || c == 0x7f || c == '"' || c == '\\';
}

/* A record is made for each message: what needs no escape is copied in runs. */
void
describe_text(GString *out, const char *text)
{
	g_autofree char *valid = NULL;
	const char *run, *p;

	if (text == NULL) {
		g_string_append(out, "null");
		return;
	}
	if (!g_utf8_validate(text, -1, NULL))
		text = valid = g_utf8_make_valid(text, -1);
	g_string_append_c(out, '"');
	for (run = p = text; *p != '\0'; p++) {
		if (!is_escaped(*p))
			continue;
		g_string_append_len(out, run, p - run);
		append_escaped(out, *p);
		run = p + 1;
	}
	g_string_append_len(out, run, p - run);
	g_string_append_c(out, '"');
}

void
describe_member(GString *out, const char *name)
{
	if (out->len > 0 && out->str[out->len - 1] != '{')
		g_string_append(out, ", ");
	describe_text(out, name);
	g_string_append(out, ": ");
}

void
describe_text_member(GString *out, const char *name, const char *value)
{
	describe_member(out, name);
	describe_text(out, value);
}

void
describe_bool_member(GString *out, const char *name, gboolean value)
{
	describe_member(out, name);
	g_string_append(out, value ? "true" : "false");
}

void
describe_int_member(GString *out, const char *name, gint64 value)
{
	describe_member(out, name);
	g_string_append_printf(out, "%" G_GINT64_FORMAT, value);
}

void
describe_certificates_member(GString *out, const char *name, const GPtrArray *certificates)
{
	describe_member(out, name);
	g_string_append_c(out, '[');
	for (guint i = 0; certificates != NULL && i < certificates->len; i++) {
		if (i > 0)
			g_string_append(out, ", ");
		describe_text(out, cert_thumbprint(g_ptr_array_index(certificates, i)));
	}
	g_string_append_c(out, ']');
}

const char *
describe_cipher(enum copy_cipher cipher)
{
	static const char *const names[] = { "aes-256-cbc", "aes-128-cbc", "aes-256-gcm",
					     "aes-128-gcm" };

	return names[cipher];
}

const char *
describe_transport(enum copy_transport transport)
{
	static const char *const names[] = { "pkcs1", "oaep-sha256", "oaep-sha384", "oaep-sha512" };

	return names[transport];
}

const char *
describe_origin(enum origin origin)
{
	static const char *const names[] = { "untrusted", "trusted", "reinjected" };

	return names[origin];
}

const char *
describe_author(enum author_state author)
{
	static const char *const names[AUTHOR_STATE_COUNT] = {
		[AUTHOR_CONFIRMED] = "confirmed",
		[AUTHOR_NONE] = "no-single-mailbox",
		[AUTHOR_EXTERNAL] = "external",
		[AUTHOR_RESENT] = "resent",
		[AUTHOR_LOGIN] = "login-not-allowed",
		[AUTHOR_SENDER] = "envelope-sender-not-allowed",
		[AUTHOR_NO_LOGIN] = "no-login",
	};

	return names[author];
}

const char *
describe_able(enum able able)
{
	static const char *const names[] = { "no", "yes", "unknown" };

	return names[able];
}

static void
describe_signature(const struct plan *plan, GString *out)
{
	static const char *const digests[] = { "sha256", "sha384", "sha512" };

	describe_text_member(out, "signing_format",
			     plan->format == FORMAT_OPAQUE ? "opaque" : "clear");
	describe_text_member(out, "signature_scheme", plan->scheme == SCHEME_PSS ? "pss" : "pkcs1");
	describe_text_member(out, "digest", digests[plan->digest]);
	describe_bool_member(out, "include_chain", plan->include_chain);
}

static void
describe_encryption(const struct plan *plan, GString *out)
{
	static const char *const kinds[] = { "rsa", "ec", "mixed" };

	describe_text_member(out, "cipher", describe_cipher(plan->cipher));
	describe_text_member(out, "key_transport", describe_transport(plan->transport));
	describe_text_member(out, "keys", kinds[plan->keys]);
	describe_int_member(out, "additional_set", plan->additional_set);
	describe_bool_member(out, "alone", plan->alone);
}

static const char *
describe_protection(enum header_protection protection)
{
	static const char *const names[] = { "off", "signed", "signed-and-encrypted" };

	return names[protection];
}

static void
describe_reading(const struct plan *plan, GString *out)
{
	describe_bool_member(out, "open", plan->open);
	describe_bool_member(out, "strip", plan->strip);
	describe_bool_member(out, "defuse", plan->defuse);
	describe_bool_member(out, "results", plan->results);
	describe_bool_member(out, "tags", plan->tag_set != 0);
	describe_bool_member(out, "quarantine", plan->quarantine);
}

void
plan_describe(const struct plan *plan, GString *out)
{
	g_string_append_c(out, '{');
	describe_text_member(out, "direction", decide_direction_name(plan->direction));
	describe_text_member(out, "outcome", decide_outcome_name(plan->outcome));
	describe_bool_member(out, "sign", plan->sign);
	describe_bool_member(out, "encrypt", plan->encrypt);
	describe_text_member(out, "reason", reason_name(plan->reason));
	describe_text_member(out, "row", decide_row_text(plan->row));
	describe_text_member(out, "encrypt_need", decide_need_name(plan->encrypt_need));
	describe_text_member(out, "encrypt_row", decide_row_text(plan->encrypt_row));
	describe_text_member(out, "sign_need", decide_need_name(plan->sign_need));
	describe_text_member(out, "sign_row", decide_row_text(plan->sign_row));
	if (plan->sign)
		describe_signature(plan, out);
	if (plan->encrypt)
		describe_encryption(plan, out);
	if (plan->sign || plan->encrypt)
		describe_text_member(out, "header_protection", describe_protection(plan->hp));
	if (plan->outcome == OUTCOME_READ)
		describe_reading(plan, out);
	describe_bool_member(out, "observed", plan->observed);
	if (plan->observed) {
		describe_text_member(out, "would", decide_outcome_name(plan->would));
		describe_bool_member(out, "would_sign", plan->would_sign);
		describe_bool_member(out, "would_encrypt", plan->would_encrypt);
	}
	g_string_append_c(out, '}');
}

static void
describe_indices(const GArray *indices, GString *out)
{
	g_string_append_c(out, '[');
	for (guint i = 0; i < indices->len; i++)
		g_string_append_printf(out, "%s%u", i > 0 ? ", " : "",
				       g_array_index(indices, guint, i));
	g_string_append_c(out, ']');
}

void
groups_describe(const struct groups *groups, GString *out)
{
	g_string_append_c(out, '{');
	describe_text_member(out, "outcome", decide_outcome_name(groups->outcome));
	describe_text_member(out, "reason", reason_name(groups->reason));
	describe_text_member(out, "sentence", reason_sentence(groups->reason));
	describe_member(out, "decisive");
	describe_indices(groups->decisive, out);
	describe_member(out, "refused");
	describe_indices(groups->refused, out);
	describe_int_member(out, "in_place", groups->in_place);
	describe_member(out, "copies");
	g_string_append_c(out, '[');
	for (guint i = 0; i < groups->copies->len; i++) {
		const struct group *group = g_ptr_array_index(groups->copies, i);

		if (i > 0)
			g_string_append(out, ", ");
		describe_indices(group->members, out);
	}
	g_string_append(out, "]}");
}

void
reply_describe(const struct reply *reply, GString *out)
{
	if (reply == NULL) {
		g_string_append(out, "null");
		return;
	}
	g_string_append_c(out, '{');
	describe_text_member(out, "code", reply->code);
	describe_text_member(out, "status", reply->status);
	describe_member(out, "lines");
	g_string_append_c(out, '[');
	for (guint i = 0; reply->lines[i] != NULL; i++) {
		if (i > 0)
			g_string_append(out, ", ");
		describe_text(out, reply->lines[i]);
	}
	g_string_append(out, "]}");
}
