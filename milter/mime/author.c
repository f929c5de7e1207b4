/*
 * author - GMime opens groups, comments and encoded words; what it repairs silently is refused
 * here before it may see it.
 */
#include "milter/mime/author.h"

#include <string.h>

#include <gmime/gmime.h>

#include "milter/mime/content_type.h"

#define MAILBOXES_MAX 20000
#define ENCODED_WORDS_MAX 2000 /* of one field: GMime's time grows with their square */

static char *
unfolded(const char *raw_value)
{
	char *text = g_strdup(raw_value);

	g_strdelimit(text, "\r\n\t", ' ');
	return g_strstrip(text);
}

/* Appends the mailboxes of a list; FALSE when something in it is no address. */
static gboolean
collect(InternetAddressList *list, GPtrArray *mailboxes, guint depth)
{
	gboolean all = TRUE;

	for (int i = 0; i < internet_address_list_length(list); i++) {
		InternetAddress *address = internet_address_list_get_address(list, i);
		struct mailaddr *parsed;

		if (INTERNET_ADDRESS_IS_GROUP(address)) {
			InternetAddressList *members =
			    internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address));

			all &= depth < 4 &&
			       (members == NULL || collect(members, mailboxes, depth + 1));
			continue;
		}
		if (mailboxes->len >= MAILBOXES_MAX)
			return FALSE;
		parsed = mailaddr_parse(
		    internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(address)), NULL);
		if (parsed != NULL)
			g_ptr_array_add(mailboxes, parsed);
		else
			all = FALSE;
	}
	return all;
}

static void
release(gpointer data)
{
	mailaddr_unref(data);
}

/* The mailbox of what nearly all mail has: a name of plain words, one quoted string without
 * escapes or the same address, then <address>; or an address alone. NULL: GMime has to look. */
static struct mailaddr *
parse_plain(const char *text)
{
	static const char words[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789 !#$%&'*+-/=?^_`{|}~";
	static const char address[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789!#$%&'*+-/=?^_`{|}~.@";
	const char *at = text;
	gboolean bracket;
	g_autofree char *found = NULL;
	gsize length;

	if (*at == '"') {
		at += 1 + strcspn(at + 1, "\"\\");
		if (*at++ != '"')
			return NULL;
		at += strspn(at, " ");
		if (*at != '<')
			return NULL;
	} else if (strchr(at, '<') != NULL) {
		const char *name_end = at + strspn(at, words);

		if (*name_end == '<')
			at = name_end;
	}
	length = strspn(at, address);
	if (length > 0 && *at != '<') { /* an address, or the common fault "a@b <a@b>" */
		const char *again = at + length + strspn(at + length, " ");

		if (*again == '<' && strncmp(again + 1, at, length) == 0 &&
		    strcmp(again + 1 + length, ">") == 0)
			at = again;
	}
	bracket = *at == '<';
	at += bracket;
	length = strspn(at, address);
	found = g_strndup(at, length);
	at += length;
	if ((bracket && *at++ != '>') || *at != '\0' || strchr(found, '@') == NULL ||
	    strchr(found, '@') != strrchr(found, '@'))
		return NULL;
	return mailaddr_parse(found, NULL);
}

/* More encoded words than anybody has names: they stay encoded. FALSE: it was so. */
static gboolean
limit_encoded_words(char *text)
{
	guint count = 0;

	for (char *at = text; (at = strstr(at, "=?")) != NULL; at += 2)
		count++;
	if (count <= ENCODED_WORDS_MAX)
		return TRUE;
	for (char *at = text; (at = strstr(at, "=?")) != NULL; at += 2)
		at[0] = at[1] = '_';
	return FALSE;
}

/* GMime 3.2 crashes on nothing that is known, but is lenient: *whole says that nothing was left
 * out. */
static GPtrArray *
mailboxes_of(const char *raw_value, gboolean *whole, gboolean *is_plain)
{
	g_autofree char *text = unfolded(raw_value);
	GPtrArray *mailboxes = g_ptr_array_new_with_free_func(release);
	struct mailaddr *plain = parse_plain(text);
	InternetAddressList *list;
	gboolean all;

	*whole = TRUE;
	*is_plain = plain != NULL;
	if (plain != NULL) {
		g_ptr_array_add(mailboxes, plain);
		return mailboxes;
	}
	if (strchr(text, '@') == NULL) { /* GMime would look for one again and again */
		*whole = FALSE;
		return mailboxes;
	}
	gmime_once();
	all = limit_encoded_words(text);
	list = internet_address_list_parse(NULL, text);
	*whole = list != NULL && collect(list, mailboxes, 0) && all;
	if (list != NULL)
		g_object_unref(list);
	return mailboxes;
}

/* Octets outside of quoted strings and comments: how many addresses does a strict reader see? A
 * lenient parser that stops early must not hide the second one. */
static guint
count_at_signs(const char *text)
{
	guint count = 0;
	guint comments = 0;
	gboolean quoted = FALSE;

	for (; *text != '\0'; text++) {
		if (*text == '\\' && text[1] != '\0' && (quoted || comments > 0))
			text++;
		else if (*text == '"' && comments == 0)
			quoted = !quoted;
		else if (*text == '(' && !quoted)
			comments++;
		else if (*text == ')' && !quoted && comments > 0)
			comments--;
		else if (*text == '@' && !quoted && comments == 0)
			count++;
	}
	return count;
}

struct mailaddr *
author_parse(const char *raw_value, gsize length, const char **why)
{
	g_autoptr(GPtrArray) mailboxes = NULL;
	gboolean whole, plain;
	const char *ignored;

	if (why == NULL)
		why = &ignored;
	*why = NULL;
	if (memchr(raw_value, '\0', length) != NULL) {
		*why = "From holds a null byte";
		return NULL;
	}
	mailboxes = mailboxes_of(raw_value, &whole, &plain);
	if (mailboxes->len == 0) {
		*why = "From holds no mailbox";
		return NULL;
	}
	if (mailboxes->len > 1) {
		*why = "From holds several mailboxes";
		return NULL;
	}
	if (!whole || (!plain && count_at_signs(raw_value) != 1)) {
		*why = "From cannot be told apart from several mailboxes";
		return NULL;
	}
	return mailaddr_ref(mailboxes->pdata[0]);
}

struct mailaddr *
author_find(const struct headers *headers, const char **why)
{
	guint count = headers_count_of(headers, "From");
	const struct header *from = headers_find(headers, "From", 1);

	if (count != 1) {
		if (why != NULL)
			*why = count == 0 ? "no From field" : "several From fields";
		return NULL;
	}
	return author_parse(from->value, from->length, why);
}

GPtrArray *
author_mailboxes(const struct headers *headers, const char *name)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(release);

	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);
		g_autoptr(GPtrArray) some = NULL;
		gboolean whole, plain;

		if (!header_is(field, name))
			continue;
		some = mailboxes_of(field->value, &whole, &plain);
		for (guint m = 0; m < some->len; m++)
			g_ptr_array_add(all, mailaddr_ref(some->pdata[m]));
	}
	return all;
}

gboolean
author_is_resent(const struct headers *headers)
{
	return headers_count_of(headers, "Resent-From") > 0;
}
