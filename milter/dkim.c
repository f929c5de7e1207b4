/*
 * dkim - one message through libopendkim; see dkim.h.
 */
#include "milter/dkim.h"

#include <stdbool.h>
#include <sys/types.h>
#include <opendkim/dkim.h>

#include <string.h>

#include "milter/message/headers.h"
#include "milter/message/spool.h"

#define DKIM_KEY_BITS_MIN 1024 /* RFC 8301 section 3.2 */

struct asking {
	const struct dkim_question *question;
	DKIM_LIB *library;
	DKIM *handle;
};

static gboolean
is_of_domain(DKIM_SIGINFO *signature, const char *domain)
{
	const unsigned char *of = dkim_sig_getdomain(signature);

	return of != NULL && g_ascii_strcasecmp((const char *)of, domain) == 0;
}

/* Before any key is asked for: those of others cost nothing, and ours have a number. */
static DKIM_CBSTAT
leave_out_others(DKIM *handle, DKIM_SIGINFO **signatures, int count)
{
	const struct asking *asking = dkim_get_user_context(handle);
	guint kept = 0;

	for (int i = 0; i < count; i++) {
		if (!is_of_domain(signatures[i], asking->question->domain) ||
		    kept == DKIM_SIGNATURES_MAX)
			dkim_sig_ignore(signatures[i]);
		else
			kept++;
	}
	return DKIM_CBSTAT_CONTINUE;
}

static gboolean
open_library(struct asking *asking)
{
	unsigned int timeout = DKIM_TIMEOUT_SECONDS, key_bits = DKIM_KEY_BITS_MIN;
	dkim_query_t method = DKIM_QUERY_FILE;
	const char *file = asking->question->key_file;
	DKIM_STAT status;

	asking->library = dkim_init(NULL, NULL);
	if (asking->library == NULL)
		return FALSE;
	(void)dkim_options(asking->library, DKIM_OP_SETOPT, DKIM_OPTS_TIMEOUT, &timeout,
			   sizeof timeout);
	(void)dkim_options(asking->library, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &key_bits,
			   sizeof key_bits);
	(void)dkim_set_prescreen(asking->library, leave_out_others);
	if (file != NULL && *file != '\0') {
		(void)dkim_options(asking->library, DKIM_OP_SETOPT, DKIM_OPTS_QUERYMETHOD, &method,
				   sizeof method);
		(void)dkim_options(asking->library, DKIM_OP_SETOPT, DKIM_OPTS_QUERYINFO,
				   (void *)file, strlen(file));
	}
	asking->handle =
	    dkim_verify(asking->library, (const unsigned char *)"postseal", NULL, &status);
	return asking->handle != NULL &&
	       dkim_set_user_context(asking->handle, asking) == DKIM_STAT_OK;
}

/* As it was on the wire: folds with CRLF. */
static gboolean
give_field(const struct asking *asking, const struct header *header)
{
	g_autoptr(GString) line = g_string_new(header->name);

	g_string_append_c(line, ':');
	for (gsize i = 0; i < header->length; i++) {
		if (header->value[i] == '\n')
			g_string_append_c(line, '\r');
		g_string_append_c(line, header->value[i]);
	}
	return dkim_header(asking->handle, (u_char *)line->str, line->len) == DKIM_STAT_OK;
}

/* FALSE: no verdict can come of it; *status as the library says. */
static gboolean
give_message(const struct asking *asking, DKIM_STAT *status)
{
	const struct dkim_question *question = asking->question;

	*status = DKIM_STAT_SYNTAX;
	for (guint i = 0; i < headers_count(question->headers); i++) {
		if (!give_field(asking, headers_at(question->headers, i)))
			return FALSE;
	}
	*status = dkim_eoh(asking->handle);
	if (*status != DKIM_STAT_OK)
		return FALSE;
	CLEANUP(spool_reader)
	struct spool_reader *reader =
	    spool_reader_new(question->body, 0, spool_size(question->body));
	for (;;) {
		const guint8 *bytes;
		gssize length = spool_reader_next(reader, &bytes, NULL);

		*status = DKIM_STAT_INTERNAL;
		if (length < 0)
			return FALSE;
		if (length == 0)
			break;
		*status = dkim_body(asking->handle, (u_char *)bytes, (size_t)length);
		if (*status != DKIM_STAT_OK)
			return FALSE;
	}
	*status = dkim_eom(asking->handle, NULL);
	return TRUE;
}

static gboolean
covers_fields(DKIM_SIGINFO *signature, const struct dkim_question *question)
{
	for (const char *const *field = question->fields; *field != NULL; field++) {
		if (headers_value(question->headers, *field) != NULL &&
		    !dkim_sig_hdrsigned(signature, (u_char *)*field))
			return FALSE;
	}
	return TRUE;
}

static gboolean
covers_body(const struct asking *asking, DKIM_SIGINFO *signature)
{
	ssize_t message, canonical, limit = -1;

	return dkim_sig_getcanonlen(asking->handle, signature, &message, &canonical, &limit) ==
		   DKIM_STAT_OK &&
	       limit < 0;
}

static enum dkim_word
word_on(const struct asking *asking, DKIM_SIGINFO *signature, const char **why)
{
	if ((dkim_sig_getflags(signature) & DKIM_SIGFLAG_IGNORE) != 0 ||
	    !is_of_domain(signature, asking->question->domain))
		return DKIM_WORD_NOT;
	if ((dkim_sig_getflags(signature) & DKIM_SIGFLAG_PROCESSED) == 0 &&
	    dkim_sig_process(asking->handle, signature) == DKIM_STAT_KEYFAIL)
		return DKIM_WORD_UNKNOWN;
	if (dkim_sig_geterror(signature) == DKIM_SIGERROR_KEYFAIL)
		return DKIM_WORD_UNKNOWN;
	if (!DKIM_SIG_CHECK(signature)) {
		*why = dkim_sig_geterrorstr(dkim_sig_geterror(signature));
		if (*why == NULL || dkim_sig_geterror(signature) == DKIM_SIGERROR_OK)
			*why = "the DKIM signature does not fit the message";
		return DKIM_WORD_NOT;
	}
	if ((dkim_sig_getflags(signature) & DKIM_SIGFLAG_TESTKEY) != 0) {
		*why = "the DKIM key is there for tests (t=y)"; /* RFC 6376 section 3.6.1 */
		return DKIM_WORD_NOT;
	}
	if (!covers_body(asking, signature)) {
		*why = "the DKIM signature covers a part of the body (l=)";
		return DKIM_WORD_NOT;
	}
	if (!covers_fields(signature, asking->question)) {
		*why = "the DKIM signature leaves fields out";
		return DKIM_WORD_NOT;
	}
	return DKIM_WORD_VOUCHED;
}

static enum dkim_word
word_on_all(const struct asking *asking, const char **why)
{
	enum dkim_word word = DKIM_WORD_NOT;
	DKIM_SIGINFO **signatures;
	int count;

	if (dkim_getsiglist(asking->handle, &signatures, &count) != DKIM_STAT_OK)
		return DKIM_WORD_NOT;
	for (int i = 0; i < count; i++) {
		enum dkim_word one = word_on(asking, signatures[i], why);

		if (one == DKIM_WORD_VOUCHED)
			return one;
		if (one == DKIM_WORD_UNKNOWN)
			word = one;
	}
	return word;
}

static enum dkim_word
ask(const struct asking *asking, const char **why)
{
	DKIM_STAT status;

	if (give_message(asking, &status))
		return word_on_all(asking, why);
	switch (status) {
	case DKIM_STAT_NOSIG:
		return DKIM_WORD_NOT;
	case DKIM_STAT_KEYFAIL:
	case DKIM_STAT_NORESOURCE:
	case DKIM_STAT_INTERNAL:
		return DKIM_WORD_UNKNOWN;
	default:
		*why = dkim_getresultstr(status);
		return DKIM_WORD_NOT;
	}
}

enum dkim_word
dkim_ask(const struct dkim_question *question, const char **why)
{
	struct asking asking = { .question = question };
	enum dkim_word word = DKIM_WORD_UNKNOWN;

	*why = "no DKIM signature of the domain in From";
	if (open_library(&asking))
		word = ask(&asking, why);
	if (asking.handle != NULL)
		(void)dkim_free(asking.handle);
	if (asking.library != NULL)
		dkim_close(asking.library);
	return word;
}
