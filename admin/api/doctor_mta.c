/*
 * doctor_mta - is Postfix set up so that no message passes the filter by? Asked of postconf(1).
 *
 * What counts: the filter on every listener and for mail of the sendmail command, a filter that
 * does not answer holds mail, protocol 6, limits that fit ours. Where it stands is doctor_place.
 */
#include "admin/api/doctor.h"
#include "admin/api/doctor_place.h"
#include "admin/api/postconf.h"

#include <gio/gio.h>
#include <string.h>

#include "store/config/settings.h"

#define CHECK "MTA"
#define HEADER_SIZE_MIN 1000000
#define ADDRESS_TOKENS_MIN 100000 /* some 10,000 addresses with names */
#define PROTOCOL_MIN 6
#define CONTENT_SECONDS_MIN 300

struct mta {
	struct doctor *doctor;
	struct postconf *postconf;
	const char *filter; /* our address as it stands in Postfix' lists, without "inet:" */
	const char *scheme; /* "inet" or "unix" */
};

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

/* Copies are injected and large messages encrypted while Postfix waits. */
static void
check_patience(const struct mta *mta, const char *where, const char *entry, const char *timeout)
{
	const char *own = strstr(entry, "content_timeout");

	if (own != NULL) {
		own += strlen("content_timeout");
		own += strspn(own, " =");
	}
	if (postconf_seconds(own != NULL ? own : timeout) >= CONTENT_SECONDS_MIN)
		return;
	doctor_add(mta->doctor, FINDING_WARNING, CHECK, "set milter_content_timeout = 300s",
		   "%s: Postfix does not wait long enough for copies and large messages", where);
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
	g_autofree char *filter =
	    postconf_service_parameter(mta->postconf, service, "content_filter");

	return *filter != '\0';
}

static void
check_listener(const struct mta *mta, const char *service)
{
	g_autofree char *list = postconf_service_parameter(mta->postconf, service, "smtpd_milters");
	g_autofree char *action =
	    postconf_service_parameter(mta->postconf, service, "milter_default_action");
	g_autofree char *timeout =
	    postconf_service_parameter(mta->postconf, service, "milter_content_timeout");
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
	check_patience(mta, service, entry, timeout);
	doctor_add(mta->doctor, FINDING_OK, CHECK, NULL, "listener %s: filter, tempfail", service);
}

static void
check_local_mail(const struct mta *mta)
{
	g_autofree char *list = postconf_parameter(mta->postconf, "non_smtpd_milters");
	/* cleanup(8) runs these filters, with options of its own */
	g_autofree char *action =
	    postconf_service_parameter(mta->postconf, "cleanup/unix", "milter_default_action");
	g_autofree char *pickup =
	    postconf_service_parameter(mta->postconf, "pickup/unix", "content_filter");
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
	g_autofree char *text = postconf_parameter(mta->postconf, name);
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

/* What signs for the domain must stand behind us, what rejects before. */
static void
check_order(const struct mta *mta)
{
	g_autofree char *list = postconf_parameter(mta->postconf, "smtpd_milters");
	const char *ours = strstr(list, mta->filter);
	const char *dkim = strstr(list, "dkim");

	if (ours != NULL && dkim != NULL && dkim < ours && strstr(ours, "dkim") == NULL)
		doctor_add(mta->doctor, FINDING_WARNING, CHECK,
			   "put the filter that signs for the domain behind Postseal",
			   "a DKIM signature made before Postseal does not fit afterwards");
	else if (ours != NULL)
		doctor_add(mta->doctor, FINDING_OK, CHECK, NULL, "order of filters: %s", list);
}

static void
check_listeners(const struct mta *mta)
{
	for (guint i = 0; i < mta->postconf->services->len; i++) {
		const struct postconf_service *service =
		    g_ptr_array_index(mta->postconf->services, i);

		if (postconf_listens(service) &&
		    !doctor_takes_copies(mta->doctor, mta->postconf, service))
			check_listener(mta, service->name);
	}
}

void
doctor_check_mta(struct doctor *doctor)
{
	const char *folder = call_text(doctor->call, "postfix-config");
	const char *socket = doctor->settings->milter_socket;
	g_autofree char *program = g_find_program_in_path("postconf");
	g_autofree char *filter = postfix_address(socket);
	g_autoptr(GError) problem = NULL;
	CLEANUP(postconf) struct postconf *postconf = NULL;
	struct mta mta = { .doctor = doctor,
			   .filter = filter,
			   .scheme = g_str_has_prefix(socket, "inet") ? "inet" : "unix" };

	doctor_probe_copies(doctor);
	doctor_check_deferred(doctor);
	if (program == NULL && !g_file_test("/usr/sbin/postconf", G_FILE_TEST_IS_EXECUTABLE)) {
		doctor_add(
		    doctor, FINDING_NOTE, CHECK, NULL,
		    "there is no Postfix on this host: compare Sendmail's configuration with "
		    "contrib/sendmail yourself");
		return;
	}
	mta.postconf = postconf = postconf_read(folder, &problem);
	if (postconf == NULL) {
		doctor_add(doctor, FINDING_WARNING, CHECK, "name its folder with --postfix-config",
			   "Postfix' configuration cannot be read: %s", problem->message);
		return;
	}
	check_listeners(&mta);
	check_local_mail(&mta);
	check_limits(&mta);
	check_order(&mta);
	doctor_check_copies(doctor, postconf, filter);
	doctor_check_maps(doctor, postconf, filter);
}
