/*
 * doctor_mta - is Postfix set up so that no message passes the filter by? Asked of postconf(1).
 *
 * What counts: the filter on every listener and for mail of the sendmail command, a filter that
 * does not answer holds mail, protocol 6, limits that fit ours, and nothing that changes
 * addresses or headers behind the filter.
 */
#include "admin/api/doctor.h"

#include <gio/gio.h>
#include <string.h>

#include "store/base/error.h"
#include "store/config/settings.h"

#define CHECK "MTA"
#define HEADER_SIZE_MIN 1000000
#define ADDRESS_TOKENS_MIN 100000 /* some 10,000 addresses with names */
#define PROTOCOL_MIN 6

struct mta {
	struct doctor *doctor;
	const char *folder;     /* of the configuration, or NULL */
	GHashTable *parameters; /* main.cf: name -> value, defaults included */
	GHashTable *overrides;  /* "smtp/inet/smtpd_milters" -> value */
	GPtrArray *listeners;   /* "smtp/inet" of smtpd */
	char *filter;           /* our address as it stands in Postfix' lists, without "inet:" */
	const char *scheme;     /* "inet" or "unix" */
};

/* --- reading postconf --- */

static char *
postconf(const struct mta *mta, const char *what, GError **error)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_autofree char *out = NULL;

	g_ptr_array_add(words, (gpointer) "postconf");
	if (mta->folder != NULL) {
		g_ptr_array_add(words, (gpointer) "-c");
		g_ptr_array_add(words, (gpointer)mta->folder);
	}
	if (what != NULL)
		g_ptr_array_add(words, (gpointer)what);
	g_ptr_array_add(words, NULL);
	g_autoptr(GSubprocess) child = g_subprocess_newv(
	    (const char *const *)words->pdata,
	    G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, error);
	if (child == NULL || !g_subprocess_communicate_utf8(child, NULL, NULL, &out, NULL, error))
		return NULL;
	if (!g_subprocess_get_successful(child))
		return fail(error, PS_ERROR_TEMPORARY, "postconf failed");
	return g_steal_pointer(&out);
}

/* "name = value" lines. */
static GHashTable *
pairs(const char *text)
{
	GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line != NULL; line++) {
		char *equals = strstr(*line, " =");

		if (equals == NULL)
			continue;
		*equals = '\0';
		g_hash_table_replace(table, g_strdup(*line), g_strstrip(g_strdup(equals + 2)));
	}
	return table;
}

/* Services that run smtpd and listen; fields of master(5). */
static GPtrArray *
listeners(const char *text)
{
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) raw = g_strsplit_set(*line, " \t", -1);
		const char *fields[8] = { NULL };
		gsize count = 0;

		for (char **field = raw; *field != NULL && count < 8; field++)
			if (**field != '\0')
				fields[count++] = *field;
		if (count == 8 && **line != ' ' && **line != '\t' &&
		    strcmp(fields[7], "smtpd") == 0 &&
		    (strcmp(fields[1], "inet") == 0 || strcmp(fields[1], "unix") == 0 ||
		     strcmp(fields[1], "pass") == 0))
			g_ptr_array_add(found, g_strconcat(fields[0], "/", fields[1], NULL));
	}
	return found;
}

static gboolean
read_postfix(struct mta *mta, GError **error)
{
	g_autofree char *all = postconf(mta, NULL, error);
	g_autofree char *services = all != NULL ? postconf(mta, "-M", error) : NULL;
	g_autofree char *overrides = services != NULL ? postconf(mta, "-P", error) : NULL;

	if (overrides == NULL)
		return FALSE;
	mta->parameters = pairs(all);
	mta->listeners = listeners(services);
	mta->overrides = pairs(overrides);
	return TRUE;
}

/* $name in a value stands for another parameter; once is enough for what people write. */
static char *
expand(const struct mta *mta, const char *value)
{
	GString *out = g_string_new(NULL);

	for (const char *p = value; *p != '\0';) {
		gsize n;

		if (*p != '$') {
			g_string_append_c(out, *p++);
			continue;
		}
		gboolean braced = p[1] == '{';
		const char *name = p + (braced ? 2 : 1);
		n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
		g_autofree char *key = g_strndup(name, n);
		const char *other = g_hash_table_lookup(mta->parameters, key);
		g_string_append(out, other != NULL ? other : "");
		p = name + n + (braced && name[n] == '}' ? 1 : 0);
	}
	return g_string_free(out, FALSE);
}

static char *
parameter(const struct mta *mta, const char *name)
{
	const char *value = g_hash_table_lookup(mta->parameters, name);

	return expand(mta, value != NULL ? value : "");
}

/* As a service has it: its own -o, else main.cf's. */
static char *
service_parameter(const struct mta *mta, const char *service, const char *name)
{
	g_autofree char *key = g_strconcat(service, "/", name, NULL);
	const char *own = g_hash_table_lookup(mta->overrides, key);

	return own != NULL ? expand(mta, own) : parameter(mta, name);
}

/* --- is it our filter? --- */

/* unix:PATH stays; inet:PORT@HOST is inet:HOST:PORT there. */
static char *
postfix_address(const char *socket)
{
	g_auto(GStrv) parts = NULL;

	if (!g_str_has_prefix(socket, "inet"))
		return g_strdup(strchr(socket, ':') != NULL ? strchr(socket, ':') + 1 : socket);
	parts = g_strsplit(strchr(socket, ':') + 1, "@", 2);
	return g_strdup_printf("%s:%s", parts[1] != NULL ? parts[1] : "localhost", parts[0]);
}

/* The entry of a milter list that is ours, with its { options }; NULL when it is not there. */
static char *
entry_of(const struct mta *mta, const char *list)
{
	const char *found = strstr(list, mta->filter);
	const char *start = found;
	const char *end;

	if (found == NULL)
		return NULL;
	while (start > list && *start != '{' && *start != '}')
		start--;
	if (*start != '{')
		return g_strdup(mta->filter);
	end = strchr(found, '}');
	return end != NULL ? g_strndup(start, (gsize)(end - start) + 1) : g_strdup(start);
}

static gboolean
entry_tempfails(const char *entry, const char *default_action)
{
	const char *own = strstr(entry, "default_action");

	if (own == NULL)
		return strcmp(default_action, "tempfail") == 0;
	own += strlen("default_action");
	own += strspn(own, " =");
	return g_str_has_prefix(own, "tempfail");
}

/* --- the checks --- */

/* A listener that takes mail after us, or before a second listener, has no filter by design. */
static gboolean
hands_on(const struct mta *mta, const char *service)
{
	g_autofree char *filter = service_parameter(mta, service, "content_filter");

	return *filter != '\0';
}

static void
check_listener(const struct mta *mta, const char *service)
{
	g_autofree char *list = service_parameter(mta, service, "smtpd_milters");
	g_autofree char *action = service_parameter(mta, service, "milter_default_action");
	g_autofree char *entry = entry_of(mta, list);
	g_autofree char *remedy = NULL;

	if (entry == NULL && hands_on(mta, service)) {
		doctor_add(mta->doctor, FINDING_NOTE, CHECK, NULL,
			   "listener %s hands its mail on to a content filter: Postseal must stand "
			   "on the listener behind that",
			   service);
		return;
	}
	if (entry == NULL) {
		remedy = g_strdup_printf("add { %s:%s, default_action=tempfail } to smtpd_milters "
					 "of %s",
					 mta->scheme, mta->filter, service);
		doctor_add(mta->doctor, FINDING_BAD, CHECK, remedy,
			   "mail that comes in at %s passes Postseal by", service);
		return;
	}
	if (!entry_tempfails(entry, action)) {
		remedy = g_strdup_printf("set milter_default_action = tempfail, or "
					 "default_action=tempfail at the filter of %s",
					 service);
		doctor_add(mta->doctor, FINDING_BAD, CHECK, remedy,
			   "at %s mail goes out unprotected when Postseal does not answer",
			   service);
		return;
	}
	doctor_add(mta->doctor, FINDING_OK, CHECK, NULL, "listener %s: filter, tempfail", service);
}

static void
check_local_mail(const struct mta *mta)
{
	g_autofree char *list = parameter(mta, "non_smtpd_milters");
	g_autofree char *action = parameter(mta, "milter_default_action");
	g_autofree char *pickup = service_parameter(mta, "pickup/unix", "content_filter");
	g_autofree char *entry = entry_of(mta, list);

	if (entry == NULL && *pickup != '\0')
		doctor_add(mta->doctor, FINDING_NOTE, CHECK, NULL,
			   "mail of the sendmail command goes through a content filter");
	else if (entry == NULL)
		doctor_add(mta->doctor, FINDING_BAD, CHECK, "add the filter to non_smtpd_milters",
			   "mail of the sendmail command passes Postseal by");
	else if (!entry_tempfails(entry, action))
		doctor_add(mta->doctor, FINDING_BAD, CHECK, "set milter_default_action = tempfail",
			   "mail of the sendmail command goes out unprotected when Postseal does "
			   "not answer");
	else
		doctor_add(mta->doctor, FINDING_OK, CHECK, NULL,
			   "sendmail command: filter, tempfail");
}

static gint64
number(const struct mta *mta, const char *name)
{
	g_autofree char *text = parameter(mta, name);
	gint64 value = 0;

	(void)g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &value, NULL);
	return value;
}

static void
check_limits(const struct mta *mta)
{
	gint64 size = number(mta, "message_size_limit");
	gint64 ours = mta->doctor->settings->message_size_max;

	if (number(mta, "milter_protocol") < PROTOCOL_MIN)
		doctor_add(mta->doctor, FINDING_BAD, CHECK, "set milter_protocol = 6",
			   "milter_protocol is too old");
	if (number(mta, "header_size_limit") < HEADER_SIZE_MIN)
		doctor_add(mta->doctor, FINDING_WARNING, CHECK, "set header_size_limit = 1048576",
			   "longer header fields are cut before Postseal signs them");
	if (number(mta, "header_address_token_limit") < ADDRESS_TOKENS_MIN)
		doctor_add(mta->doctor, FINDING_WARNING, CHECK,
			   "set header_address_token_limit = 102400",
			   "fields of many addresses lose the last of them before Postseal sees "
			   "the message");
	if (size != 0 && (ours == 0 || ours > size)) {
		g_autofree char *remedy =
		    g_strdup_printf("set message_size_max = %" G_GINT64_FORMAT
				    " in postseal.conf (Postfix' message_size_limit)",
				    size);
		doctor_add(mta->doctor, FINDING_WARNING, CHECK, remedy,
			   "a message that grows past Postfix' message_size_limit would bounce "
			   "instead of being answered");
	}
}

/* Addresses and headers that change behind the filter make its decision one about others. */
static void
check_maps(const struct mta *mta)
{
	static const struct {
		const char *name;
		const char *what;
	} maps[] = {
		{ "virtual_alias_maps", "recipients are replaced behind the filter" },
		{ "canonical_maps", "addresses are rewritten" },
		{ "sender_canonical_maps", "senders are rewritten" },
		{ "recipient_canonical_maps", "recipients are rewritten" },
		{ "smtp_generic_maps", "addresses of signed mail are rewritten as it leaves" },
		{ "always_bcc", "a copy of all mail goes to somebody the filter does not know" },
		{ "sender_bcc_maps", "copies go to somebody the filter does not know" },
		{ "recipient_bcc_maps", "copies go to somebody the filter does not know" },
	};
	g_autofree char *overrides = parameter(mta, "receive_override_options");

	for (gsize i = 0; i < G_N_ELEMENTS(maps); i++) {
		g_autofree char *value = parameter(mta, maps[i].name);
		gboolean mapped = strcmp(maps[i].name, "smtp_generic_maps") == 0 ||
				  strstr(overrides, "no_address_mappings") == NULL;

		if (*value == '\0' || !mapped ||
		    (strcmp(maps[i].name, "virtual_alias_maps") == 0 &&
		     g_str_has_prefix(value, "static:")))
			continue;
		doctor_add(mta->doctor, FINDING_WARNING, CHECK,
			   "put Postseal where addresses are final: contrib/postfix/master.cf",
			   "%s is set: %s", maps[i].name, maps[i].what);
	}
}

/* What signs for the domain must stand behind us, what rejects before. */
static void
check_order(const struct mta *mta)
{
	g_autofree char *list = parameter(mta, "smtpd_milters");
	const char *ours = strstr(list, mta->filter);
	const char *dkim = strstr(list, "dkim");

	if (ours != NULL && dkim != NULL && dkim < ours && strstr(ours, "dkim") == NULL)
		doctor_add(mta->doctor, FINDING_WARNING, CHECK,
			   "put the filter that signs for the domain behind Postseal",
			   "a DKIM signature made before Postseal does not fit afterwards");
	else if (ours != NULL)
		doctor_add(mta->doctor, FINDING_OK, CHECK, NULL, "order of filters: %s", list);
}

void
doctor_check_mta(struct doctor *doctor)
{
	g_autofree char *program = g_find_program_in_path("postconf");
	g_autoptr(GError) problem = NULL;
	struct mta mta = { .doctor = doctor, .folder = call_text(doctor->call, "postfix-config") };

	if (program == NULL && !g_file_test("/usr/sbin/postconf", G_FILE_TEST_IS_EXECUTABLE)) {
		doctor_add(
		    doctor, FINDING_NOTE, CHECK, NULL,
		    "there is no Postfix on this host: compare Sendmail's configuration with "
		    "contrib/sendmail yourself");
		return;
	}
	mta.filter = postfix_address(doctor->settings->milter_socket);
	mta.scheme = g_str_has_prefix(doctor->settings->milter_socket, "inet") ? "inet" : "unix";
	if (!read_postfix(&mta, &problem)) {
		doctor_add(doctor, FINDING_WARNING, CHECK, "name its folder with --postfix-config",
			   "Postfix' configuration cannot be read: %s", problem->message);
	} else {
		for (guint i = 0; i < mta.listeners->len; i++)
			check_listener(&mta, g_ptr_array_index(mta.listeners, i));
		check_local_mail(&mta);
		check_limits(&mta);
		check_order(&mta);
		check_maps(&mta);
	}
	g_clear_pointer(&mta.parameters, g_hash_table_unref);
	g_clear_pointer(&mta.overrides, g_hash_table_unref);
	g_clear_pointer(&mta.listeners, g_ptr_array_unref);
	g_free(mta.filter);
}
