/*
 * manual_gen - the manual page of the request handlers, from its text on standard input: a line
 * "@keys NAME" becomes the settings of that handler, "@common" those that all have which ask
 * others.
 *
 * For the build alone.
 */
#include <stdio.h>
#include <string.h>

#include "pki/handlers/handler.h"

static void
put_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '-')
			putchar('\\');
		putchar(*text);
	}
}

static const char *
takes(enum handler_key_type type)
{
	switch (type) {
	case HANDLER_KEY_TEXT:
		return "text";
	case HANDLER_KEY_SECRET:
		return "a secret, from --password-file";
	case HANDLER_KEY_INT:
		return "a number";
	case HANDLER_KEY_DURATION:
		return "a duration";
	case HANDLER_KEY_BOOL:
		return "on or off";
	case HANDLER_KEY_CHOICE:
		return "one of";
	case HANDLER_KEY_LIST:
		return "words";
	case HANDLER_KEY_URL:
		return "a URL";
	case HANDLER_KEY_CERTS:
		return "certificates, from --file";
	case HANDLER_KEY_PRIVATE:
		return "a private key, from --file";
	}
	return "";
}

static void
put_keys(const struct handler_key *key)
{
	for (; key != NULL && key->name != NULL; key++) {
		printf(".TP\n.B ");
		put_text(key->name);
		printf("\n(");
		put_text(takes(key->type));
		if (key->values != NULL && *key->values != '\0') {
			printf(" ");
			put_text(key->values);
		}
		if (key->initial != NULL && *key->initial != '\0') {
			printf("; default ");
			put_text(key->initial);
		}
		printf("%s) ", key->required ? "; required" : "");
		put_text(key->sentence);
		printf("\n");
	}
}

int
main(void)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		g_strchomp(line);
		if (g_str_has_prefix(line, "@keys ")) {
			const struct handler *handler = handler_find(line + 6, NULL);
			if (handler == NULL)
				return 1;
			put_keys(handler->keys);
		} else if (strcmp(line, "@common") == 0) {
			put_keys(handler_common_keys);
		} else if (strcmp(line, "@list") == 0) {
			gsize n;
			const struct handler *const *all = handlers_all(&n);
			for (gsize i = 0; i < n; i++) {
				printf(".TP\n.B %s\n", all[i]->name);
				put_text(all[i]->sentence);
				printf("\n");
			}
		} else {
			puts(line);
		}
	}
	return fflush(stdout) == 0 && !ferror(stdin) ? 0 : 1;
}
