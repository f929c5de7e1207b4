/*
 * seal - AES-256-GCM under keys derived from the master key, and the master key's file.
 */
#include "pki/crypto/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pki/crypto/internal.h"
#include "store/base/hex.h"

#define MASTER_KEY_BYTES 32
#define MASTER_FILE_MAX_BYTES (64 * 1024)
#define GENERATIONS_MAX 256
#define KEY_ID_BYTES 8
#define SALT_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define SEALED_MAX_BYTES (16 * 1024 * 1024)

static const char magic[4] = { 'P', 'S', 'S', '1' };

/* The head of a blob as it is stored; numbers are big-endian. */
struct seal_head {
	char magic[4];
	guint32 generation;
	guint8 key_id[KEY_ID_BYTES];
	guint8 salt[SALT_BYTES];
	guint8 nonce[NONCE_BYTES];
} __attribute__((packed));

struct master_key {
	unsigned int generation;
	struct secret *key;
	guint8 id[KEY_ID_BYTES];
};

struct master_keys {
	struct master_key *keys; /* by generation */
	guint count;
};

static gboolean
hkdf(const struct secret *key, gconstpointer salt, gsize salt_length, const char *info, guint8 *out,
     gsize length, GError **error)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret_bytes(key),
						  secret_length(key)),
		/* A NULL pointer fails, even for no bytes. */
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
						  (void *)(salt != NULL ? salt : ""), salt_length),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, strlen(info)),
		OSSL_PARAM_construct_end(),
	};
	gboolean good = context != NULL && EVP_KDF_derive(context, out, length, params) == 1;

	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	if (!good)
		return fail_openssl_false(error, PS_ERROR_BUG, "could not derive a key");
	return TRUE;
}

static const struct master_key *
find_generation(const struct master_keys *keys, unsigned int generation)
{
	for (guint i = 0; i < keys->count; i++)
		if (keys->keys[i].generation == generation)
			return &keys->keys[i];
	return NULL;
}

static gboolean
parse_line(struct master_keys *keys, const char *line, int number, GError **error)
{
	char *end = NULL;
	guint64 generation = g_ascii_strtoull(line, &end, 10);
	gsize length = 0;

	if (end == line || *end != ' ' || generation == 0 || generation > G_MAXINT32)
		return fail_false(error, PS_ERROR_INVALID,
				  "line %d is not 'generation base64-of-32-bytes'", number);
	if (find_generation(keys, (unsigned int)generation) != NULL)
		return fail_false(error, PS_ERROR_INVALID, "line %d repeats generation %u", number,
				  (unsigned int)generation);
	if (keys->count > 0 && keys->keys[keys->count - 1].generation > generation)
		return fail_false(error, PS_ERROR_INVALID,
				  "line %d: generations are not in ascending order", number);
	if (keys->count == GENERATIONS_MAX)
		return fail_false(error, PS_ERROR_INVALID, "more than %d generations",
				  GENERATIONS_MAX);
	guchar *raw = g_base64_decode(end + 1, &length);
	struct secret *key = length == MASTER_KEY_BYTES ? secret_new(raw, length) : NULL;
	wipe(raw, length);
	g_free(raw);
	if (key == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "the key of generation %u has %zu bytes instead of %d",
				  (unsigned int)generation, length, MASTER_KEY_BYTES);
	keys->keys = g_renew(struct master_key, keys->keys, keys->count + 1);
	struct master_key *added = &keys->keys[keys->count++];
	added->generation = (unsigned int)generation;
	added->key = key;
	return hkdf(key, NULL, 0, "postseal master key id", added->id, KEY_ID_BYTES, error);
}

struct master_keys *
master_keys_parse(const struct secret *text, GError **error)
{
	CLEANUP(master_keys) struct master_keys *keys = g_new0(struct master_keys, 1);
	const char *p = secret_text(text);

	for (int number = 1; *p != '\0'; number++) {
		gsize length = strcspn(p, "\n");

		if (length > 0 && *p != '#') {
			CLEANUP(secret) struct secret *line = secret_new(p, length);

			if (!parse_line(keys, secret_text(line), number, error))
				return NULL;
		}
		p += length + (p[length] == '\n' ? 1 : 0);
	}
	if (keys->count == 0)
		return fail(error, PS_ERROR_INVALID, "there is no key in it");
	return g_steal_pointer(&keys);
}

struct master_keys *
master_keys_load(const char *path, GError **error)
{
	CLEANUP(secret) struct secret *text = secret_read_file(path, MASTER_FILE_MAX_BYTES, error);
	if (text == NULL)
		return NULL;
	struct master_keys *keys = master_keys_parse(text, error);
	if (keys == NULL)
		g_prefix_error(error, "master key file %s: ", path);
	return keys;
}

void
master_keys_free(struct master_keys *keys)
{
	if (keys == NULL)
		return;
	for (guint i = 0; i < keys->count; i++)
		secret_unref(keys->keys[i].key);
	g_free(keys->keys);
	g_free(keys);
}

unsigned int
master_keys_current(const struct master_keys *keys)
{
	return keys->keys[keys->count - 1].generation;
}

unsigned int
master_keys_nth(const struct master_keys *keys, unsigned int i)
{
	return i < keys->count ? keys->keys[keys->count - 1 - i].generation : 0;
}

gboolean
master_keys_has(const struct master_keys *keys, unsigned int generation)
{
	return find_generation(keys, generation) != NULL;
}

char *
master_keys_id(const struct master_keys *keys, unsigned int generation)
{
	const struct master_key *key = find_generation(keys, generation);

	return key != NULL ? hex_encode(key->id, KEY_ID_BYTES) : NULL;
}

/* Puts text at path in one step: a reader sees the old file or the new one. */
static gboolean
replace_file(const char *path, const struct secret *text, mode_t mode, const struct stat *owner,
	     GError **error)
{
	g_autofree char *temporary = g_strconcat(path, ".new", NULL);
	g_autofree char *folder = g_path_get_dirname(path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int dir = -1;

	if (fd < 0 && errno == EEXIST) {
		/* Left by a run that died; it was never in use. */
		(void)unlink(temporary);
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	if (fd < 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "cannot write %s: %s", temporary,
				  g_strerror(errno));
	const char *bytes = secret_bytes(text);
	gsize left = secret_length(text);
	while (left > 0) {
		ssize_t wrote = write(fd, bytes, left);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			goto broken;
		bytes += wrote;
		left -= (gsize)wrote;
	}
	if (owner != NULL && fchown(fd, owner->st_uid, owner->st_gid) != 0)
		goto broken;
	if (fchmod(fd, mode) != 0 || fsync(fd) != 0 || close(fd) != 0) {
		fd = -1;
		goto broken;
	}
	fd = -1;
	if (rename(temporary, path) != 0)
		goto broken;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		(void)fsync(dir);
		(void)close(dir);
	}
	return TRUE;
broken:
	fail_false(error, PS_ERROR_TEMPORARY, "cannot write %s: %s", path, g_strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	(void)unlink(temporary);
	return FALSE;
}

/* The file's text from keys, without generation `without` (0: all of them). */
static struct secret *
format_keys(const struct master_keys *keys, unsigned int without)
{
	enum { LINE_MAX_BYTES = 64 };
	gsize size = (gsize)keys->count * LINE_MAX_BYTES + 1;
	char *text = g_malloc0(size);
	gsize used = 0;

	for (guint i = 0; i < keys->count; i++) {
		if (keys->keys[i].generation == without)
			continue;
		char *base64 = g_base64_encode(secret_bytes(keys->keys[i].key), MASTER_KEY_BYTES);
		used += (gsize)g_snprintf(text + used, (gulong)(size - used), "%u %s\n",
					  keys->keys[i].generation, base64);
		wipe(base64, strlen(base64));
		g_free(base64);
	}
	struct secret *secret = secret_new(text, used);
	wipe(text, size);
	g_free(text);
	return secret;
}

static gboolean
append_random(struct master_keys *keys, unsigned int generation, GError **error)
{
	struct secret *key = secret_new_random(MASTER_KEY_BYTES, error);

	if (key == NULL)
		return FALSE;
	keys->keys = g_renew(struct master_key, keys->keys, keys->count + 1);
	keys->keys[keys->count++] = (struct master_key){ .generation = generation, .key = key };
	return TRUE;
}

gboolean
master_keys_create(const char *path, GError **error)
{
	CLEANUP(master_keys) struct master_keys *keys = g_new0(struct master_keys, 1);

	if (access(path, F_OK) == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s exists already and is not overwritten", path);
	if (!append_random(keys, 1, error))
		return FALSE;
	CLEANUP(secret) struct secret *text = format_keys(keys, 0);
	return replace_file(path, text, 0600, NULL, error);
}

/* Loads, changes, and writes back with owner and mode of the present file. */
static gboolean
rewrite(const char *path, struct master_keys *keys, unsigned int without, GError **error)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "cannot read %s: %s", path,
				  g_strerror(errno));
	CLEANUP(secret) struct secret *text = format_keys(keys, without);
	return replace_file(path, text, status.st_mode & 07777, &status, error);
}

gboolean
master_keys_add_generation(const char *path, unsigned int *generation, GError **error)
{
	CLEANUP(master_keys) struct master_keys *keys = master_keys_load(path, error);

	if (keys == NULL)
		return FALSE;
	if (keys->count == GENERATIONS_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s holds %d generations already: drop old ones first", path,
				  GENERATIONS_MAX);
	*generation = master_keys_current(keys) + 1;
	return append_random(keys, *generation, error) && rewrite(path, keys, 0, error);
}

gboolean
master_keys_drop_generation(const char *path, unsigned int generation, GError **error)
{
	CLEANUP(master_keys) struct master_keys *keys = master_keys_load(path, error);

	if (keys == NULL)
		return FALSE;
	if (generation == master_keys_current(keys))
		return fail_false(error, PS_ERROR_INVALID,
				  "generation %u is the current one and stays", generation);
	if (!master_keys_has(keys, generation))
		return fail_false(error, PS_ERROR_NOT_FOUND, "%s holds no generation %u", path,
				  generation);
	return rewrite(path, keys, generation, error);
}

gboolean
master_keys_copy(const char *from, const char *to, unsigned int mode, GError **error)
{
	CLEANUP(master_keys) struct master_keys *keys = master_keys_load(from, error);
	struct stat status;

	if (keys == NULL)
		return FALSE;
	CLEANUP(secret) struct secret *text = format_keys(keys, 0);
	return replace_file(to, text, (mode_t)mode, stat(to, &status) == 0 ? &status : NULL, error);
}

struct secret *
master_keys_derive(const struct master_keys *keys, unsigned int generation, const char *label,
		   gsize length, GError **error)
{
	unsigned int wanted = generation != 0 ? generation : master_keys_current(keys);
	const struct master_key *key = find_generation(keys, wanted);
	guint8 bytes[256];

	if (key == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "the master key file does not hold generation %u", wanted);
	if (length == 0 || length > sizeof(bytes))
		return fail(error, PS_ERROR_BUG, "a derived key of %zu bytes", length);
	g_autofree char *info = g_strconcat("postseal derive ", label, NULL);
	if (!hkdf(key->key, NULL, 0, info, bytes, length, error))
		return NULL;
	struct secret *derived = secret_new(bytes, length);
	wipe(bytes, sizeof(bytes));
	return derived;
}

/* What the tag covers besides the text: head, table and row, each with its length. */
static GByteArray *
associated_data(const struct seal_head *head, const char *table, const char *row_id)
{
	GByteArray *data = g_byte_array_new();
	const char *parts[] = { table, row_id };

	g_byte_array_append(data, (const guint8 *)head, sizeof(*head));
	for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
		guint32 length = GUINT32_TO_BE((guint32)strlen(parts[i]));

		g_byte_array_append(data, (const guint8 *)&length, sizeof(length));
		g_byte_array_append(data, (const guint8 *)parts[i], (guint)strlen(parts[i]));
	}
	return data;
}

/* Runs the cipher over in; tag is written when sealing and checked when opening. */
static gboolean
run_cipher(gboolean sealing, const struct master_key *key, const struct seal_head *head,
	   const GByteArray *data, const guint8 *in, gsize length, guint8 *out,
	   guint8 tag[TAG_BYTES], GError **error)
{
	g_autoptr(EVP_CIPHER_CTX) context = EVP_CIPHER_CTX_new();
	guint8 row_key[32];
	int size = 0, last = 0, direction = sealing ? 1 : 0;

	if (!hkdf(key->key, head->salt, SALT_BYTES, "postseal seal", row_key, sizeof(row_key),
		  error))
		return FALSE;
	gboolean good = EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), row_key, head->nonce,
					   direction, NULL) == 1 &&
			EVP_CipherUpdate(context, NULL, &size, data->data, (int)data->len) == 1 &&
			EVP_CipherUpdate(context, out, &size, in, (int)length) == 1;
	wipe(row_key, sizeof(row_key));
	if (good && !sealing)
		good = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1;
	good = good && EVP_CipherFinal_ex(context, out + size, &last) == 1;
	if (good && sealing)
		good = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
	if (!good)
		return fail_openssl_false(error, PS_ERROR_INVALID, "the cipher refused");
	return TRUE;
}

GBytes *
seal(const struct master_keys *keys, const char *table, const char *row_id,
     const struct secret *plain, GError **error)
{
	const struct master_key *key = &keys->keys[keys->count - 1];
	gsize length = secret_length(plain);
	struct seal_head head;

	if (length > SEALED_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a secret of %zu bytes is too large", length);
	memcpy(head.magic, magic, sizeof(magic));
	head.generation = GUINT32_TO_BE(key->generation);
	memcpy(head.key_id, key->id, KEY_ID_BYTES);
	if (RAND_bytes(head.salt, SALT_BYTES) != 1 || RAND_bytes(head.nonce, NONCE_BYTES) != 1)
		return fail_openssl(error, PS_ERROR_TEMPORARY, "no random bytes");
	g_autoptr(GByteArray) data = associated_data(&head, table, row_id);
	gsize size = sizeof(head) + length + TAG_BYTES;
	g_autofree guint8 *blob = g_malloc(size);
	memcpy(blob, &head, sizeof(head));
	if (!run_cipher(TRUE, key, &head, data, secret_bytes(plain), length, blob + sizeof(head),
			blob + sizeof(head) + length, error))
		return NULL;
	return g_bytes_new_take(g_steal_pointer(&blob), size);
}

static gboolean
read_head(GBytes *blob, struct seal_head *head)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(blob, &length);

	if (length < sizeof(*head) + TAG_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0)
		return FALSE;
	memcpy(head, bytes, sizeof(*head));
	return TRUE;
}

unsigned int
seal_generation(GBytes *blob)
{
	struct seal_head head;

	return read_head(blob, &head) ? GUINT32_FROM_BE(head.generation) : 0;
}

struct secret *
unseal(const struct master_keys *keys, const char *table, const char *row_id, GBytes *blob,
       GError **error)
{
	struct seal_head head;
	gsize length;
	const guint8 *bytes = g_bytes_get_data(blob, &length);
	guint8 tag[TAG_BYTES];

	if (!read_head(blob, &head))
		return fail(error, PS_ERROR_INVALID, "%s %s: not a sealed secret, or damaged",
			    table, row_id);
	unsigned int generation = GUINT32_FROM_BE(head.generation);
	const struct master_key *key = find_generation(keys, generation);
	if (key == NULL)
		return fail(
		    error, PS_ERROR_INVALID,
		    "%s %s: sealed under generation %u of the master key, which the master "
		    "key file does not hold; put back the file that belongs to this database",
		    table, row_id, generation);
	if (memcmp(head.key_id, key->id, KEY_ID_BYTES) != 0)
		return fail(error, PS_ERROR_INVALID,
			    "%s %s: sealed under another master key; put back the master key file "
			    "that belongs to this database",
			    table, row_id);
	length -= sizeof(head) + TAG_BYTES;
	memcpy(tag, bytes + sizeof(head) + length, TAG_BYTES);
	g_autoptr(GByteArray) data = associated_data(&head, table, row_id);
	g_autofree guint8 *plain = g_malloc(length + 1);
	gboolean good =
	    run_cipher(FALSE, key, &head, data, bytes + sizeof(head), length, plain, tag, NULL);
	struct secret *secret = good ? secret_new(plain, length) : NULL;
	wipe(plain, length);
	if (secret == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "%s %s: the sealed secret was copied from another row, or is damaged",
			    table, row_id);
	return secret;
}
