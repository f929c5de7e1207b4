/*
 * dkim - does a DKIM signature of this domain vouch for a message (RFC 6376)? The only user of
 * libopendkim.
 *
 * Signatures of other domains are not looked at, and no more than DKIM_SIGNATURES_MAX of this one:
 * each may cost a question to a name server. One counts when it verifies, covers the whole body
 * (no l=) and every field that was named and is there. Keys come from DNS, or from a file.
 * Threads: any; the calling one waits for DNS, DKIM_TIMEOUT_SECONDS a question at most.
 */
#ifndef MILTER_DKIM_H
#define MILTER_DKIM_H

#include <glib.h>

struct headers;
struct spool;

#define DKIM_SIGNATURES_MAX 4
#define DKIM_TIMEOUT_SECONDS 5

enum dkim_word {
	DKIM_WORD_VOUCHED,
	DKIM_WORD_NOT,     /* *why: static text, for the log */
	DKIM_WORD_UNKNOWN, /* the key cannot be had now */
};

struct dkim_question {
	const struct headers *headers;
	struct spool *body;        /* sealed */
	const char *domain;        /* A-labels */
	const char *const *fields; /* must be covered where they are there; NULL-terminated */
	const char *key_file;      /* lines "SELECTOR._domainkey.DOMAIN RECORD"; NULL, "": DNS */
};

enum dkim_word dkim_ask(const struct dkim_question *question, const char **why);

#endif
