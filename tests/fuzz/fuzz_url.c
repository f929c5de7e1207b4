/*
 * fuzz_url - any text as a URL, an entry of fetch_allow, the values of header fields, and bytes as
 * a pair of certificates: what is read is in one spelling and safe to send on.
 */
#include <stdint.h>
#include <string.h>

#include "pki/crypto/cert_points.h"
#include "pki/net/address_guard.h"
#include "pki/net/http_values.h"
#include "pki/net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_url(const char *text)
{
	CLEANUP(url) struct url *url = url_parse(text, NULL);

	if (url == NULL)
		return;
	CLEANUP(url) struct url *again = url_parse(url->text, NULL);
	if (again == NULL || strcmp(again->text, url->text) != 0 ||
	    strcmp(again->host, url->host) != 0 || again->port != url->port)
		g_error("reading it again changes it");
	for (const char *p = url->text; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			g_error("a character that is none of a URL");
	if (strchr(url->host, '@') != NULL || url->port == 0 || url->port > 65535)
		g_error("a host or port that is none");
	if (*url->rest != '/')
		g_error("a path that is none");
}

static void
check_values(const char *text)
{
	g_autofree char *etag = http_etag_read(text);
	gint64 date = http_date_read(text);
	g_autofree char *written = date != 0 ? http_date_write(date) : NULL;

	if (etag != NULL && (strpbrk(etag, "\r\n ") != NULL || strcmp(etag, text) != 0))
		g_error("a tag that is not safe to send");
	if (date != 0 && http_date_read(written) != date)
		g_error("a date that changes");
	if (http_max_age_read(text) < -1 || http_retry_after_read(text, text) < -1)
		g_error("a time that is none");
}

static void
check_allow(const char *text)
{
	const char *allow[] = { text, NULL };
	CLEANUP(address_guard) struct address_guard *guard = address_guard_new_checked(allow, NULL);

	if (guard != NULL && address_guard_permits_proxied(guard, "0.0.0.0", 80, NULL))
		g_error("an address that is never permitted");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = size > 0 ? g_strndup((const char *)data, size) : g_strdup("");
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	check_url(text);
	check_values(text);
	check_allow(text);
	if (cert_pair_read(bytes, certs) && (certs->len == 0 || certs->len > 2))
		g_error("a pair that is none");
	return 0;
}
