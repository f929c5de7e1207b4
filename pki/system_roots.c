/*
 * system_roots - trust objects and certificates of a PKCS#11 module.
 */
#include "pki/system_roots.h"

#include <string.h>

#include "config.h"
#include "store/base/error.h"

#ifdef HAVE_P11KIT
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11x.h>

#define MODULE_NAME "libnssckbi.so"
#define ROOTS_MAX 5000
#define ATTRIBUTE_MAX_BYTES 65536
#define SLOTS_MAX 16
#define BATCH 64

/* Where distributions put it; below the first ones every architecture has a folder. */
static const char *const folders[] = { "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib" };

/* One attribute of an object, or NULL when it has none or one that is too long. */
static GBytes *
attribute(CK_FUNCTION_LIST *list, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
	  CK_ATTRIBUTE_TYPE type)
{
	CK_ATTRIBUTE wanted = { type, NULL, 0 };

	if (list->C_GetAttributeValue(session, object, &wanted, 1) != CKR_OK ||
	    wanted.ulValueLen == 0 || wanted.ulValueLen > ATTRIBUTE_MAX_BYTES)
		return NULL;
	g_autofree guint8 *value = g_malloc(wanted.ulValueLen);
	wanted.pValue = value;
	if (list->C_GetAttributeValue(session, object, &wanted, 1) != CKR_OK)
		return NULL;
	return g_bytes_new(value, wanted.ulValueLen);
}

/* Handles of all objects that fit the template. */
static GArray *
find_objects(CK_FUNCTION_LIST *list, CK_SESSION_HANDLE session, CK_ATTRIBUTE *template,
	     CK_ULONG count)
{
	GArray *found = g_array_new(FALSE, FALSE, sizeof(CK_OBJECT_HANDLE));
	CK_OBJECT_HANDLE batch[BATCH];
	CK_ULONG got = 0;

	if (list->C_FindObjectsInit(session, template, count) != CKR_OK)
		return found;
	while (found->len < ROOTS_MAX &&
	       list->C_FindObjects(session, batch, BATCH, &got) == CKR_OK && got > 0)
		g_array_append_vals(found, batch, (guint)got);
	(void)list->C_FindObjectsFinal(session);
	return found;
}

static gboolean
has_sha1(GBytes *der, GBytes *sha1)
{
	guint8 digest[20];
	gsize length = sizeof digest;
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA1);

	g_checksum_update(checksum, g_bytes_get_data(der, NULL), (gssize)g_bytes_get_size(der));
	g_checksum_get_digest(checksum, digest, &length);
	return sha1 != NULL && g_bytes_get_size(sha1) == length &&
	       memcmp(g_bytes_get_data(sha1, NULL), digest, length) == 0;
}

/* The certificate that a trust object speaks of: of several with its issuer and serial number the
 * one with its digest. */
static void
add_root(CK_FUNCTION_LIST *list, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE trust,
	 GPtrArray *roots)
{
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	g_autoptr(GBytes) issuer = attribute(list, session, trust, CKA_ISSUER);
	g_autoptr(GBytes) serial = attribute(list, session, trust, CKA_SERIAL_NUMBER);
	g_autoptr(GBytes) sha1 = attribute(list, session, trust, CKA_CERT_SHA1_HASH);

	if (issuer == NULL || serial == NULL)
		return;
	CK_ATTRIBUTE template[] = {
		{ CKA_CLASS, &class, sizeof class },
		{ CKA_ISSUER, (void *)g_bytes_get_data(issuer, NULL), g_bytes_get_size(issuer) },
		{ CKA_SERIAL_NUMBER, (void *)g_bytes_get_data(serial, NULL),
		  g_bytes_get_size(serial) },
	};
	GArray *certs = find_objects(list, session, template, G_N_ELEMENTS(template));
	for (guint i = 0; i < certs->len; i++) {
		g_autoptr(GBytes) der =
		    attribute(list, session, g_array_index(certs, CK_OBJECT_HANDLE, i), CKA_VALUE);

		if (der != NULL && has_sha1(der, sha1)) {
			g_ptr_array_add(roots, g_steal_pointer(&der));
			break;
		}
	}
	g_array_unref(certs);
}

static void
read_slot(CK_FUNCTION_LIST *list, CK_SLOT_ID slot, GPtrArray *roots)
{
	CK_OBJECT_CLASS class = CKO_NSS_TRUST;
	CK_ULONG trusted = CKT_NSS_TRUSTED_DELEGATOR;
	CK_SESSION_HANDLE session;
	CK_ATTRIBUTE template[] = {
		{ CKA_CLASS, &class, sizeof class },
		{ CKA_TRUST_EMAIL_PROTECTION, &trusted, sizeof trusted },
	};

	if (list->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
		return;
	GArray *objects = find_objects(list, session, template, G_N_ELEMENTS(template));
	for (guint i = 0; i < objects->len; i++)
		add_root(list, session, g_array_index(objects, CK_OBJECT_HANDLE, i), roots);
	g_array_unref(objects);
	(void)list->C_CloseSession(session);
}

/* NULL when there is no module of that name which this program can load. */
static GPtrArray *
read_module(const char *path)
{
	CK_FUNCTION_LIST *list =
	    g_file_test(path, G_FILE_TEST_IS_REGULAR) ? p11_kit_module_load(path, 0) : NULL;
	GPtrArray *roots = NULL;
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX;

	if (list == NULL)
		return NULL;
	if (p11_kit_module_initialize(list) == CKR_OK) {
		roots = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
		if (list->C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK)
			for (CK_ULONG i = 0; i < count; i++)
				read_slot(list, slots[i], roots);
		(void)p11_kit_module_finalize(list);
	}
	p11_kit_module_release(list);
	return roots;
}

/* /usr/lib/libnssckbi.so, /usr/lib/ARCHITECTURE/libnssckbi.so, …/nss, …/pkcs11 */
static GPtrArray *
read_below(const char *folder, char **module)
{
	static const char *const places[] = { "", "nss", "pkcs11" };

	for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
		g_autofree char *path = g_build_filename(folder, places[i], MODULE_NAME, NULL);
		GPtrArray *roots = read_module(path);

		if (roots == NULL)
			continue;
		*module = g_steal_pointer(&path);
		return roots;
	}
	return NULL;
}

static GPtrArray *
read_any(char **module)
{
	for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autoptr(GDir) dir = g_dir_open(folders[i], 0, NULL);
		GPtrArray *roots = read_below(folders[i], module);
		const char *name;

		while (roots == NULL && dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
			g_autofree char *folder = g_build_filename(folders[i], name, NULL);

			if (strstr(name, "-linux-gnu") != NULL)
				roots = read_below(folder, module);
		}
		if (roots != NULL)
			return roots;
	}
	return NULL;
}

GPtrArray *
system_roots_email(char **module, GError **error)
{
	g_autoptr(GPtrArray) roots = NULL;

	*module = NULL;
	roots = read_any(module);
	if (roots == NULL)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "NSS's built-in roots (" MODULE_NAME ") are not on this system: "
			    "install libnss3");
	if (roots->len == 0) {
		fail(error, PS_ERROR_NOT_FOUND, "%s holds no root that is trusted for mail",
		     *module);
		g_clear_pointer(module, g_free);
		return NULL;
	}
	return g_steal_pointer(&roots);
}

#else

GPtrArray *
system_roots_email(char **module, GError **error)
{
	*module = NULL;
	return fail(error, PS_ERROR_NOT_FOUND,
		    "this program was built without p11-kit: NSS's roots cannot be read");
}

#endif
