/*
 * sentences - the reasons of verdicts, in one table that all who show a verdict take them from.
 *
 * Arguments are texts that passed printable() already (what cert_subject and the like give).
 * Static data; threads: any.
 */
#ifndef PKI_CRYPTO_SENTENCES_H
#define PKI_CRYPTO_SENTENCES_H

#include <glib.h>

enum sentence {
#define SENTENCE(id, text, remedy) SENTENCE_##id,
#include "pki/crypto/sentences.def"
#undef SENTENCE
	SENTENCE_COUNT
};

#define SENTENCE_ARGUMENTS_MAX 4

/* Up to four texts, ended with NULL. The caller's to free. */
char *sentence_make(enum sentence sentence, ...) G_GNUC_NULL_TERMINATED;
/* The same with what would mend it: "…; import its certificate". */
char *sentence_with_remedy(enum sentence sentence, ...) G_GNUC_NULL_TERMINATED;
const char *sentence_text(enum sentence sentence);   /* with its braces */
const char *sentence_remedy(enum sentence sentence); /* "" when there is none */

#endif
