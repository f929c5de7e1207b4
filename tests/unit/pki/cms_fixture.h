/*
 * cms_fixture - identities, a scratch folder and the peer (openssl cms) for the tests of CMS.
 */
#ifndef TESTS_UNIT_PKI_CMS_FIXTURE_H
#define TESTS_UNIT_PKI_CMS_FIXTURE_H

#include <glib.h>

struct cert;
struct key;

struct identity {
	const char *name; /* "rsa1", "rsa2", "rsa3072", "ec256", "ec256b", "ec384", "ec521" */
	struct cert *cert;
	struct key *key;
	char *cert_path;
	char *key_path;
};

/* Loaded once, freed at exit by fixture_clear. */
const struct identity *fixture_identity(const char *name);
struct cert *fixture_cert_read(const char *path); /* PEM or DER */
struct key *fixture_key_read(const char *path);   /* PKCS#8, PEM or DER */
GBytes *fixture_read(const char *path);           /* the whole file; PEM is decoded */

const char *fixture_folder(void);
char *fixture_path(const char *name); /* in the scratch folder; owned by the caller */
char *fixture_write(const char *name, gconstpointer bytes, gsize length); /* gives its path */
char *fixture_data(const char *folder); /* of PS_DATA, or NULL when it is not there */

/* Runs `openssl …` (NULL at the end); gives the exit status, -1 when there is no openssl. */
int fixture_openssl(const char *first, ...) G_GNUC_NULL_TERMINATED;
gboolean fixture_has_openssl(void);
void fixture_clear(void); /* removes the folder with everything in it */

/* Bytes that look like a mail part, CRLF, of exactly that size; the same each time. */
GBytes *fixture_content(gsize length);

#endif
