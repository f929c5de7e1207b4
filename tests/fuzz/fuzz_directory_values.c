/*
 * fuzz_directory_values - any bytes as the value of an LDAP attribute: certificate, PKCS#7,
 * crossCertificatePair or refused; and what is taken of it for an address.
 */
#include <stdint.h>

#include "pki/crypto/cert.h"
#include "pki/directory_values.h"
#include "pki/net/ldap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) certs = directory_value_certs(bytes, &error);
	struct ldap_value value = { (char *)"usercertificate", bytes };
	g_autoptr(GPtrArray) values = g_ptr_array_new();

	if ((certs == NULL) != (error != NULL))
		g_error("neither certificates nor an error, or both");
	if (error != NULL && !g_utf8_validate(error->message, -1, NULL))
		g_error("an error text that is not UTF-8");
	if (certs != NULL && (certs->len == 0 || certs->len > DIRECTORY_VALUE_CERTS_MAX))
		g_error("none or too many");
	g_ptr_array_add(values, &value);
	for (guint i = 0; certs != NULL && i < certs->len; i++) {
		GPtrArray *emails = cert_emails(certs->pdata[i]);
		const struct mailaddr *address = emails->len > 0 ? emails->pdata[0] : NULL;
		CLEANUP(directory_taken) struct directory_taken *taken = NULL;

		if (address == NULL)
			continue;
		taken = directory_values_take(values, address, 0);
		for (guint k = 0; k < taken->certs->len; k++)
			if (!cert_has_email(taken->certs->pdata[k], address) ||
			    cert_is_ca(taken->certs->pdata[k]))
				g_error("taken for an address that it does not name, or a CA's");
	}
	return 0;
}
