/*
 * reading_walk - the state of a reading while it is made; for reading*.c alone.
 */
#ifndef MILTER_READING_WALK_H
#define MILTER_READING_WALK_H

#include "milter/mime/leaf.h"
#include "milter/reading.h"

struct walk_mark { /* what there was when a key was first used */
	guint layers, signers, parts, certs;
	gboolean is_signed, malformed, partial, signed_content, author_differs;
};

struct reading_walk {
	const struct reading_options *options;
	struct reading *reading;       /* being made */
	const struct headers *headers; /* of the message as it came */
	char *malformed;
	char *undecryptable;
	char *partial;
	const char *header_doubt; /* of the outermost header: programs may read it differently */
	const char *author_doubt, *date_doubt; /* see verdict_input */
	gint64 date;
	gboolean covered;         /* by a signature, from here inwards */
	gboolean author_differs;  /* a protected From is not the outer one */
	gboolean used_key;        /* from here on every failure is one outcome */
	struct walk_mark mark;    /* when used_key */
	struct entity *unvouched; /* CBC content that no good signature has covered yet */
	struct entity *uncovered; /* what is left when signatures are taken off */
	gboolean took_off;        /* uncovered lies under a signature */
	guint depth;
	guint checks;
	gint64 cpu_end;
	GError *error; /* a real one */
};

/* For those who add findings. The first text of a kind stays. */
void walk_note(char **finding, const char *text);
void walk_limit(struct reading_walk *walk, const char *text);
/* After the first use of a key: READING_FAILED. Always TRUE: the walk goes back. */
gboolean walk_fail(struct reading_walk *walk, const char *detail);
/* Takes the error: INVALID is a finding (NULL: walk_fail), anything else walk->error and FALSE. */
gboolean walk_take_error(struct reading_walk *walk, char **finding, GError *error);
/* Has the message used up its time? Then it is a finding. */
gboolean walk_out_of_time(struct reading_walk *walk);
struct reading_layer *walk_add_layer(struct reading_walk *walk, enum layer_type type,
				     const char *content_type);
struct cms_verify_options walk_verify_options(struct reading_walk *walk);

/* INVALID of what lies under a layer: the one failure inside of what was decrypted, else malformed
 * by a limit. */
gboolean walk_inner_error(struct reading_walk *walk, GError *error);
/* Content on its way through a step, up to the end of the message's time. */
struct walk_source {
	struct source source; /* first */
	struct source *in;
	struct reading_walk *walk;
	const guint8 *rest; /* of a piece that is handed on in smaller ones */
	gsize rest_length;
	gsize since; /* bytes since the clock was asked */
};
struct source *walk_source_init(struct walk_source *source, struct reading_walk *walk,
				struct source *in);
/* For the content of a layer; NULL where none is looked at. */
struct spool *walk_spool(const struct reading_walk *walk);
/* Header and body; seals the spool. */
struct entity *walk_inner(struct spool *spool, GError **error);
void walk_set_entity(struct entity **to, const struct entity *entity); /* NULL clears */
/* An entity from its outermost layer on. FALSE with walk->error, as all the steps. */
gboolean walk_entity(struct reading_walk *walk, struct entity *entity);

/* reading_signed.c */
gboolean walk_clear_signed(struct reading_walk *walk, const struct mime_tree *tree,
			   enum leaf_decoding decoding);
gboolean walk_opaque(struct reading_walk *walk, const struct mime_tree *tree,
		     enum leaf_decoding decoding);
/* reading_sealed.c */
gboolean walk_encrypted(struct reading_walk *walk, const struct mime_tree *tree,
			const struct cms_info *info, enum leaf_decoding decoding);
gboolean walk_compressed(struct reading_walk *walk, const struct mime_tree *tree,
			 enum leaf_decoding decoding);
gboolean walk_other(struct reading_walk *walk, const struct cms_info *info);
/* reading_signers.c: all signers of the object. covers: the layer is all that is shown. *good: one
 * of them is, by an algorithm that counts. */
void walk_add_signers(struct reading_walk *walk, const struct cms_verify_report *report,
		      gboolean covers, gboolean *good);
/* reading_headers.c: the From inside of any layer that claims to protect it, and the fields of the
 * payload, for what covers it. */
void walk_compare_author(struct reading_walk *walk, const struct part *root);
void walk_protected_fields(struct reading_walk *walk, const struct mime_tree *tree);
/* reading_parts.c */
void walk_add_parts(struct reading_walk *walk, const struct part *part, guint depth);
gboolean walk_signed_parts(struct reading_walk *walk, const struct mime_tree *tree);
/* A detached signature over a part. NULL: a finding, or walk->error. */
struct cms_verify_report *walk_verify_part(struct reading_walk *walk, const struct mime_tree *tree,
					   const struct part *content, const struct part *signature,
					   enum leaf_decoding decoding);

#endif
