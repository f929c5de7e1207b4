/*
 * algorithms - look-ups in the one table.
 */
#include "pki/crypto/algorithms.h"

#include <string.h>

struct row {
	enum algorithm_class class;
	const char *name;
	const char *oid;
	const char *openssl;
	enum algorithm_standing standing;
};

static const struct row rows[ALGORITHM_COUNT] = {
	[ALGORITHM_UNKNOWN] = { ALGORITHM_CLASS_DIGEST, "unknown", NULL, NULL, ALGORITHM_REFUSED },
#define ALGORITHM(id, in, name_, oid_, openssl_, is)                                               \
	[ALGORITHM_##id] = { ALGORITHM_CLASS_##in, name_, oid_, openssl_, ALGORITHM_##is },
#include "pki/crypto/algorithms.def"
#undef ALGORITHM
};

static const struct row *
row_of(enum algorithm algorithm)
{
	return (unsigned int)algorithm < ALGORITHM_COUNT ? &rows[algorithm]
							 : &rows[ALGORITHM_UNKNOWN];
}

const char *
algorithm_name(enum algorithm algorithm)
{
	return row_of(algorithm)->name;
}

const char *
algorithm_oid(enum algorithm algorithm)
{
	return row_of(algorithm)->oid;
}

const char *
algorithm_openssl(enum algorithm algorithm)
{
	return row_of(algorithm)->openssl;
}

enum algorithm_class
algorithm_class(enum algorithm algorithm)
{
	return row_of(algorithm)->class;
}

enum algorithm_standing
algorithm_standing(enum algorithm algorithm)
{
	return row_of(algorithm)->standing;
}

enum algorithm
algorithm_by_name(const char *name)
{
	for (unsigned int i = ALGORITHM_UNKNOWN + 1; i < ALGORITHM_COUNT; i++)
		if (g_ascii_strcasecmp(rows[i].name, name) == 0)
			return (enum algorithm)i;
	return ALGORITHM_UNKNOWN;
}

enum algorithm
algorithm_by_oid(const char *dotted)
{
	for (unsigned int i = ALGORITHM_UNKNOWN + 1; i < ALGORITHM_COUNT; i++)
		if (g_strcmp0(rows[i].oid, dotted) == 0)
			return (enum algorithm)i;
	return ALGORITHM_UNKNOWN;
}

static const struct {
	enum key_kind kind;
	const char *name;
	unsigned int bits_min, legacy_min; /* the second where a preference accepts old mail */
} kinds[] = {
	{ KEY_KIND_RSA, "RSA", 2048, 1024 }, { KEY_KIND_RSA_PSS, "RSA-PSS", 2048, 1024 },
	{ KEY_KIND_EC, "EC", 256, 192 },     { KEY_KIND_ED25519, "Ed25519", 0, 0 },
	{ KEY_KIND_ED448, "Ed448", 0, 0 },   { KEY_KIND_X25519, "X25519", 0, 0 },
	{ KEY_KIND_X448, "X448", 0, 0 },     { KEY_KIND_DSA, "DSA", 2048, 1024 },
};

const char *
key_kind_name(enum key_kind kind)
{
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "unknown";
}

gboolean
key_strength_allowed(enum key_kind kind, unsigned int bits)
{
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (kinds[i].kind == kind)
			return bits >= kinds[i].bits_min;
	return FALSE;
}

gboolean
key_strength_legacy(enum key_kind kind, unsigned int bits)
{
	for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (kinds[i].kind == kind)
			return bits >= kinds[i].legacy_min;
	return FALSE;
}
