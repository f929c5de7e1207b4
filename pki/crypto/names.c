/*
 * names - reading names into comparable forms, and matching them with subtrees.
 */
#include "pki/crypto/names.h"

#include <gio/gio.h>
#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/internal.h"
#include "store/base/mailaddr.h"
#include "store/base/printable.h"

static void
name_free(gpointer p)
{
	struct name *name = p;

	g_free(name->text);
	g_free(name->local);
	g_free(name->folded);
	g_free(name->host);
	g_free(name->form);
	g_clear_pointer(&name->parts, g_ptr_array_unref);
	g_clear_pointer(&name->address, g_bytes_unref);
	g_free(name);
}

static struct name *
name_new(enum name_kind kind)
{
	struct name *name = g_new0(struct name, 1);

	name->kind = kind;
	return name;
}

static GPtrArray *
names_new(void)
{
	return g_ptr_array_new_with_free_func(name_free);
}

/* A host as lower-case A-labels without the final dot; NULL when it is none. */
static char *
host_of(const char *text, gsize length)
{
	g_autofree char *copy = g_strndup(text, length);

	if (strlen(copy) != length || length == 0)
		return NULL;
	if (copy[length - 1] == '.')
		copy[length - 1] = '\0';
	for (const char *p = copy; *p != '\0'; p++)
		if ((guchar)*p <= ' ' || *p == '@' || *p == '/' || *p == 0x7f)
			return NULL;
	if (g_str_is_ascii(copy))
		return g_ascii_strdown(copy, -1);
	return mailaddr_domain_key(copy, NULL);
}

static struct name *
mail_name(const unsigned char *bytes, gsize length)
{
	struct name *name = name_new(NAME_MAIL);
	const char *text = (const char *)bytes;
	const char *at = g_strrstr_len(text, (gssize)length, "@");

	name->text = printable_bytes(bytes, length, PRINTABLE_MAX_BYTES);
	if (at != NULL && memchr(bytes, 0, length) == NULL) {
		name->local = g_strndup(text, (gsize)(at - text));
		name->host = host_of(at + 1, length - (gsize)(at + 1 - text));
		g_autofree char *copy = g_strndup(text, length);
		CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(copy, NULL);
		name->folded = g_strdup(address != NULL ? mailaddr_local(address) : name->local);
	}
	name->unusable = name->host == NULL;
	return name;
}

static struct name *
dns_name(const unsigned char *bytes, gsize length)
{
	struct name *name = name_new(NAME_DNS);

	name->text = printable_bytes(bytes, length, PRINTABLE_MAX_BYTES);
	name->host = host_of((const char *)bytes, length);
	name->unusable = name->host == NULL;
	return name;
}

/* RFC 5280: a URI without a host name is let through by no constraint. */
static struct name *
uri_name(const unsigned char *bytes, gsize length)
{
	struct name *name = name_new(NAME_URI);
	g_autofree char *copy = g_strndup((const char *)bytes, length);
	const char *begin = strstr(copy, "://");

	name->text = printable_bytes(bytes, length, PRINTABLE_MAX_BYTES);
	name->unusable = TRUE;
	if (begin == NULL || strlen(copy) != length)
		return name;
	begin += 3;
	gsize authority = strcspn(begin, "/?#");
	const char *at = g_strrstr_len(begin, (gssize)authority, "@");
	if (at != NULL) {
		authority -= (gsize)(at + 1 - begin);
		begin = at + 1;
	}
	gsize host = 0;
	while (host < authority && begin[host] != ':')
		host++;
	g_autofree char *plain = g_strndup(begin, host);
	if (*begin == '[' || g_hostname_is_ip_address(plain))
		return name;
	name->host = host_of(begin, host);
	name->unusable = name->host == NULL;
	return name;
}

static struct name *
directory_name(const X509_NAME *raw)
{
	struct name *name = name_new(NAME_DIRECTORY);

	name->text = name_text(raw);
	name->parts = name_parts(raw);
	return name;
}

static struct name *
other_name(const GENERAL_NAME *raw)
{
	struct name *name = name_new(NAME_OTHER);

	if (raw->type == GEN_OTHERNAME) {
		g_autofree char *oid = object_dotted(raw->d.otherName->type_id);
		name->form = g_strconcat("other name ", oid, NULL);
	} else {
		name->form = g_strdup_printf("name form %d", raw->type);
	}
	name->text = g_strdup(name->form);
	return name;
}

static struct name *
ip_name(const ASN1_OCTET_STRING *octets)
{
	struct name *name = name_new(NAME_IP);
	gsize length = (gsize)ASN1_STRING_length(octets);
	const guint8 *bytes = ASN1_STRING_get0_data(octets);
	g_autoptr(GInetAddress) address = NULL;

	name->address = g_bytes_new(bytes, length);
	if (length == 4 || length == 8)
		address = g_inet_address_new_from_bytes(bytes, G_SOCKET_FAMILY_IPV4);
	else if (length == 16 || length == 32)
		address = g_inet_address_new_from_bytes(bytes, G_SOCKET_FAMILY_IPV6);
	name->text = address != NULL ? g_inet_address_to_string(address)
				     : g_strdup("an IP address of wrong length");
	return name;
}

static struct name *
from_string(const ASN1_STRING *text, struct name *(*make)(const unsigned char *, gsize))
{
	return make(ASN1_STRING_get0_data(text), (gsize)ASN1_STRING_length(text));
}

/* One name of a certificate or, with base, of a subtree. */
static struct name *
read_name(const GENERAL_NAME *raw)
{
	switch (raw->type) {
	case GEN_EMAIL:
		return from_string(raw->d.rfc822Name, mail_name);
	case GEN_DNS:
		return from_string(raw->d.dNSName, dns_name);
	case GEN_URI:
		return from_string(raw->d.uniformResourceIdentifier, uri_name);
	case GEN_DIRNAME:
		return directory_name(raw->d.directoryName);
	case GEN_IPADD:
		return ip_name(raw->d.iPAddress);
	default:
		break;
	}
	if (raw->type == GEN_OTHERNAME &&
	    OBJ_obj2nid(raw->d.otherName->type_id) == NID_id_on_SmtpUTF8Mailbox &&
	    raw->d.otherName->value->type == V_ASN1_UTF8STRING)
		return from_string(raw->d.otherName->value->value.utf8string, mail_name);
	return other_name(raw);
}

GPtrArray *
names_of(const struct cert *cert)
{
	g_autoptr(GPtrArray) names = names_new();
	g_autoptr(X509_NAME) subject = cert_read_subject(cert);
	int at = -1, critical = -1;

	if (X509_NAME_entry_count(subject) > 0)
		g_ptr_array_add(names, directory_name(subject));
	while ((at = X509_NAME_get_index_by_NID(subject, NID_pkcs9_emailAddress, at)) >= 0) {
		unsigned char *utf8 = NULL;
		int length = ASN1_STRING_to_UTF8(
		    &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

		g_ptr_array_add(names, mail_name(length >= 0 ? utf8 : (const guint8 *)"",
						 length >= 0 ? (gsize)length : 0));
		OPENSSL_free(utf8);
	}
	g_autoptr(GENERAL_NAMES) all = cert_extension(cert, NID_subject_alt_name, &critical);
	ERR_clear_error();
	if ((all == NULL && critical != -1) ||
	    sk_GENERAL_NAME_num(all) + (int)names->len > NAMES_MAX)
		return NULL;
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
		g_ptr_array_add(names, read_name(sk_GENERAL_NAME_value(all, i)));
	return g_steal_pointer(&names);
}

/* The base of a subtree: hosts alone are names there, and a dot in front means what is below. */
static struct name *
read_base(const GENERAL_NAME *raw)
{
	if (raw->type != GEN_EMAIL && raw->type != GEN_DNS && raw->type != GEN_URI)
		return read_name(raw);
	const ASN1_STRING *string = raw->d.ia5;
	const unsigned char *bytes = ASN1_STRING_get0_data(string);
	gsize length = (gsize)ASN1_STRING_length(string);
	if (raw->type == GEN_EMAIL && memchr(bytes, '@', length) != NULL)
		return mail_name(bytes, length);
	struct name *name = name_new(raw->type == GEN_EMAIL ? NAME_MAIL
				     : raw->type == GEN_DNS ? NAME_DNS
							    : NAME_URI);
	name->text = printable_bytes(bytes, length, PRINTABLE_MAX_BYTES);
	name->subdomains = length > 0 && *bytes == '.';
	if (name->subdomains) {
		bytes++;
		length--;
	}
	name->host = length > 0 ? host_of((const char *)bytes, length) : g_strdup("");
	name->unusable = name->host == NULL;
	return name;
}

static gboolean
read_subtrees(const STACK_OF(GENERAL_SUBTREE) * all, GPtrArray *bases,
	      struct name_constraints *constraints)
{
	if (sk_GENERAL_SUBTREE_num(all) > NAMES_MAX)
		return FALSE;
	for (int i = 0; i < sk_GENERAL_SUBTREE_num(all); i++) {
		const GENERAL_SUBTREE *subtree = sk_GENERAL_SUBTREE_value(all, i);

		constraints->bounded |=
		    subtree->maximum != NULL ||
		    (subtree->minimum != NULL && ASN1_INTEGER_get(subtree->minimum) != 0);
		g_ptr_array_add(bases, read_base(subtree->base));
	}
	return TRUE;
}

struct name_constraints *
name_constraints_of(const struct cert *cert, gboolean *broken)
{
	int critical = -1;
	NAME_CONSTRAINTS *raw = cert_extension(cert, NID_name_constraints, &critical);

	ERR_clear_error();
	if (raw == NULL) {
		*broken |= critical != -1;
		return NULL;
	}
	struct name_constraints *constraints = g_new0(struct name_constraints, 1);
	constraints->permitted = names_new();
	constraints->excluded = names_new();
	*broken |= !read_subtrees(raw->permittedSubtrees, constraints->permitted, constraints) ||
		   !read_subtrees(raw->excludedSubtrees, constraints->excluded, constraints);
	NAME_CONSTRAINTS_free(raw);
	return constraints;
}

void
name_constraints_free(struct name_constraints *constraints)
{
	if (constraints == NULL)
		return;
	g_ptr_array_unref(constraints->permitted);
	g_ptr_array_unref(constraints->excluded);
	g_free(constraints);
}

static gboolean
is_below(const char *host, const char *base)
{
	gsize length = strlen(host), suffix = strlen(base);

	return length > suffix + 1 && host[length - suffix - 1] == '.' &&
	       strcmp(host + length - suffix, base) == 0;
}

/* Mail and URI: the host itself, or what is below a dot. dNSName: the host and all below. */
static gboolean
host_matches(const struct name *name, const struct name *base)
{
	if (*base->host == '\0')
		return TRUE; /* the whole kind */
	if (base->subdomains)
		return is_below(name->host, base->host);
	return strcmp(name->host, base->host) == 0 ||
	       (base->kind == NAME_DNS && is_below(name->host, base->host));
}

static gboolean
directory_matches(const struct name *name, const struct name *base)
{
	if (base->parts->len > name->parts->len)
		return FALSE;
	for (guint i = 0; i < base->parts->len; i++)
		if (strcmp(base->parts->pdata[i], name->parts->pdata[i]) != 0)
			return FALSE;
	return TRUE;
}

static gboolean
address_matches(const struct name *name, const struct name *base)
{
	gsize length, twice;
	const guint8 *address = g_bytes_get_data(name->address, &length);
	const guint8 *range = g_bytes_get_data(base->address, &twice);

	if (twice != 2 * length)
		return FALSE;
	for (gsize i = 0; i < length; i++)
		if (((address[i] ^ range[i]) & range[length + i]) != 0)
			return FALSE;
	return TRUE;
}

/* RFC 5280 compares local parts as they are. What is excluded is so however it is written, as
 * addresses of mail are compared elsewhere: else quotes would lead past it. */
static gboolean
local_matches(const struct name *name, const struct name *base, gboolean excluded)
{
	if (base->local == NULL)
		return TRUE;
	return excluded ? g_strcmp0(name->folded, base->folded) == 0
			: g_strcmp0(name->local, base->local) == 0;
}

static gboolean
matches(const struct name *name, const struct name *base, gboolean excluded)
{
	switch (base->kind) {
	case NAME_DIRECTORY:
		return directory_matches(name, base);
	case NAME_MAIL:
		return local_matches(name, base, excluded) && host_matches(name, base);
	case NAME_DNS:
	case NAME_URI:
		return host_matches(name, base);
	case NAME_IP:
		return address_matches(name, base);
	case NAME_OTHER:
		break;
	}
	return FALSE;
}

/* Forms that we cannot compare are of one kind only where they are the same form. */
static gboolean
same_kind(const struct name *name, const struct name *base)
{
	return name->kind == base->kind &&
	       (name->kind != NAME_OTHER || strcmp(name->form, base->form) == 0);
}

static gboolean
passes(const struct name *name, const struct name_constraints *constraints, guint *steps)
{
	gboolean asked = FALSE, permitted = FALSE;

	*steps += constraints->permitted->len + constraints->excluded->len;
	for (guint i = 0; i < constraints->excluded->len; i++) {
		const struct name *base = constraints->excluded->pdata[i];

		if (same_kind(name, base) && (base->kind == NAME_OTHER || name->unusable ||
					      base->unusable || matches(name, base, TRUE)))
			return FALSE;
	}
	for (guint i = 0; i < constraints->permitted->len && !permitted; i++) {
		const struct name *base = constraints->permitted->pdata[i];

		if (!same_kind(name, base))
			continue;
		asked = TRUE;
		permitted = !name->unusable && !base->unusable && matches(name, base, FALSE);
	}
	return !asked || permitted;
}

const struct name *
names_violation(const GPtrArray *names, const struct name_constraints *constraints, guint *steps)
{
	for (guint i = 0; i < names->len; i++)
		if (!passes(names->pdata[i], constraints, steps))
			return names->pdata[i];
	return NULL;
}
