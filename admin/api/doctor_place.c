/* doctor_place - see doctor_place.h. */
#include "admin/api/doctor_place.h"

#include <string.h>

#include "admin/api/listener_probe.h"
#include "milter/gateway.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/reason.h"
#include "store/config/settings.h"

#define CHECK "copies"
#define PLACE "place"
#define PROCESSES_MIN 5
#define DAY_SECONDS 86400
#define DEFERRED_MAX 100
#define REMEDY_LISTENER "take the last listener of contrib/postfix/master.cf"
#define REMEDY_PLACE "put Postseal where addresses are final: contrib/postfix/master.cf"

/* --- the listener for copies --- */

/* "127.0.0.1" of "127.0.0.1:10026" and of "[127.0.0.1]:10026"; "" where there is none. */
static char *
host_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	char *host = colon != NULL ? g_strndup(address, (gsize)(colon - address)) : g_strdup("");
	gsize length = strlen(host);

	if (length < 2 || host[0] != '[' || host[length - 1] != ']')
		return host;
	host[length - 1] = '\0';
	memmove(host, host + 1, length - 1);
	return host;
}

static const char *
port_of(const char *address)
{
	const char *colon = strrchr(address, ':');

	return colon != NULL ? colon + 1 : address;
}

static gboolean
is_loopback(const char *host)
{
	return g_str_has_prefix(host, "127.") || strcmp(host, "localhost") == 0 ||
	       strcmp(host, "::1") == 0;
}

/* A service with a port alone listens on inet_interfaces. */
static gboolean
hears_loopback_alone(const struct postconf *postconf, const struct postconf_service *service)
{
	g_autofree char *host = host_of(service->address);
	g_autofree char *interfaces = postconf_parameter(postconf, "inet_interfaces");

	if (strcmp(service->kind, "inet") != 0)
		return TRUE;
	if (*host != '\0')
		return is_loopback(host);
	return strcmp(interfaces, "loopback-only") == 0 || is_loopback(interfaces);
}

gboolean
doctor_takes_copies(const struct doctor *doctor, const struct postconf *postconf,
		    const struct postconf_service *service)
{
	const char *wanted = doctor->settings->reinject_address;
	g_autofree char *host = host_of(service->address);
	g_autofree char *wanted_host = host_of(wanted);

	if (*wanted == '\0')
		return FALSE;
	if (g_str_has_prefix(wanted, "unix:")) {
		g_autofree char *queue = postconf_parameter(postconf, "queue_directory");
		g_autofree char *name = g_path_get_basename(wanted);

		return strcmp(service->kind, "unix") == 0 &&
		       g_str_has_prefix(wanted + strlen("unix:"), queue) &&
		       strcmp(service->address, name) == 0;
	}
	return strcmp(service->kind, "inet") == 0 &&
	       strcmp(port_of(service->address), port_of(wanted)) == 0 &&
	       (*host == '\0' || strcmp(host, wanted_host) == 0 ||
		(is_loopback(host) && is_loopback(wanted_host)));
}

static const struct postconf_service *
find_listener(const struct doctor *doctor, const struct postconf *postconf)
{
	for (guint i = 0; i < postconf->services->len; i++) {
		const struct postconf_service *service = g_ptr_array_index(postconf->services, i);

		if (postconf_listens(service) && doctor_takes_copies(doctor, postconf, service))
			return service;
	}
	return NULL;
}

static void
check_filter(struct doctor *doctor, const struct postconf *postconf, const char *service,
	     const char *filter)
{
	g_autofree char *list = postconf_service_parameter(postconf, service, "smtpd_milters");
	gboolean filtered = strstr(list, filter) != NULL;

	if (filtered && !doctor->settings->reinject_marker)
		doctor_add(
		    doctor, FINDING_BAD, CHECK,
		    "take Postseal out of smtpd_milters of the listener for copies, or set "
		    "reinject_marker = on",
		    "copies that come in at %s pass Postseal again and are taken for mail of "
		    "the house",
		    service);
	if (!filtered && doctor->settings->reinject_marker)
		doctor_add(doctor, FINDING_BAD, CHECK, "set reinject_marker = off",
			   "nobody takes the marker out of copies that come in at %s", service);
}

static void
check_access(struct doctor *doctor, const struct postconf *postconf,
	     const struct postconf_service *service)
{
	const char *name = service->name;
	g_autofree char *networks = postconf_service_parameter(postconf, name, "mynetworks");
	g_autofree char *content = postconf_service_parameter(postconf, name, "content_filter");
	g_autofree char *overrides =
	    postconf_service_parameter(postconf, name, "receive_override_options");

	if (!hears_loopback_alone(postconf, service))
		doctor_add(doctor, FINDING_BAD, CHECK, REMEDY_LISTENER,
			   "%s takes mail from the network, and it passes Postseal by", name);
	if (strcmp(service->kind, "inet") == 0 && strstr(networks, "127.") == NULL &&
	    strstr(networks, "::1") == NULL)
		doctor_add(doctor, FINDING_BAD, CHECK, "add -o mynetworks=127.0.0.0/8 to it",
			   "%s does not take copies from this host: loopback is not in mynetworks",
			   name);
	if (*content != '\0')
		doctor_add(doctor, FINDING_WARNING, CHECK, "add -o content_filter= to it",
			   "copies that come in at %s go through a content filter, which sees them "
			   "after Postseal",
			   name);
	if (strstr(overrides, "no_address_mappings") == NULL)
		doctor_add(doctor, FINDING_WARNING, CHECK,
			   "add -o receive_override_options=no_address_mappings to it",
			   "addresses of copies that come in at %s may be expanded to others'",
			   name);
}

/* Whoever waits for the filter holds a process, while the filter waits for this listener. */
static void
check_processes(struct doctor *doctor, const struct postconf_service *service)
{
	if (service->processes > 0 && service->processes < PROCESSES_MIN)
		doctor_add(
		    doctor, FINDING_WARNING, CHECK, "let it have 20 processes or more",
		    "%s may have %d processes: messages that need copies wait for each other",
		    service->name, service->processes);
}

void
doctor_check_copies(struct doctor *doctor, const struct postconf *postconf, const char *filter)
{
	const char *address = doctor->settings->reinject_address;
	const struct postconf_service *service;

	if (*address == '\0') {
		doctor_add(doctor, FINDING_WARNING, CHECK,
			   REMEDY_LISTENER " and set reinject_address",
			   "there is no listener for copies: a message whose recipients need "
			   "different ones is answered with 451, and nobody gets a notice");
		return;
	}
	service = find_listener(doctor, postconf);
	if (service == NULL) {
		doctor_add(doctor, FINDING_BAD, CHECK, REMEDY_LISTENER,
			   "nothing in master.cf listens on reinject_address = %s: a message whose "
			   "recipients need different copies is answered with 451",
			   address);
		return;
	}
	check_filter(doctor, postconf, service->name, filter);
	check_access(doctor, postconf, service);
	check_processes(doctor, service);
	doctor_add(doctor, FINDING_OK, CHECK, NULL, "listener %s takes copies", service->name);
}

void
doctor_probe_copies(struct doctor *doctor)
{
	static const char *const wanted[] = { "8BITMIME", "SMTPUTF8", "DSN" };
	const char *address = doctor->settings->reinject_address;
	g_autofree char *can = NULL;
	g_autoptr(GError) problem = NULL;

	if (*address == '\0')
		return;
	can = listener_probe(address, NULL, NULL, &problem);
	if (can == NULL) {
		doctor_add(doctor, FINDING_BAD, CHECK,
			   "start the mail server, or correct reinject_address",
			   "the listener for copies does not answer: %s", problem->message);
		return;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
		if (strstr(can, wanted[i]) == NULL)
			doctor_add(doctor, FINDING_WARNING, CHECK,
				   "let the listener for copies announce it",
				   "the listener for copies knows no %s: messages that need it are "
				   "deferred, or notifications get lost",
				   wanted[i]);
	}
	doctor_add(doctor, FINDING_OK, CHECK, NULL, "%s answers: %s", address, can);
}

void
doctor_check_deferred(struct doctor *doctor)
{
	static const struct {
		enum reason reason;
		const char *remedy;
		const char *what;
	} rows[] = {
		{ REASON_DEFERRED_COPIES, "raise bcc_copies_max, or write to a list",
		  "had more hidden recipients than bcc_copies_max" },
		{ REASON_DEFERRED_DIFFERENT, REMEDY_LISTENER " and set reinject_address",
		  "needed different copies, and there was no listener for them" },
		{ REASON_DEFERRED_LISTENER, "look at the listener for copies in the mail log",
		  "needed different copies, and the listener did not take them" },
	};

	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct audit_message_filter filter = {
			.reason = reason_name(rows[i].reason),
			.from = clock_now(doctor->gateway->clock) - DAY_SECONDS,
			.limit = DEFERRED_MAX,
		};
		g_autoptr(GPtrArray) found = audit_message_find(doctor->gateway->db, &filter, NULL);

		if (found != NULL && found->len > 0)
			doctor_add(doctor, FINDING_WARNING, CHECK, rows[i].remedy,
				   "within a day %s%u messages were answered with 451: they %s",
				   found->len == DEFERRED_MAX ? "more than " : "", found->len,
				   rows[i].what);
	}
}

/* --- addresses that change behind the filter --- */

struct map {
	const char *name;
	const char *leak; /* what can get where it should not */
};

/* Is there a way in behind which Postfix still maps addresses? */
static gboolean
is_mapped(const struct postconf *postconf, const char *filter)
{
	g_autofree char *local = postconf_parameter(postconf, "non_smtpd_milters");
	g_autofree char *pickup =
	    postconf_service_parameter(postconf, "pickup/unix", "receive_override_options");

	if (strstr(local, filter) != NULL && strstr(pickup, "no_address_mappings") == NULL)
		return TRUE;
	for (guint i = 0; i < postconf->services->len; i++) {
		const struct postconf_service *service = g_ptr_array_index(postconf->services, i);
		g_autofree char *list =
		    postconf_service_parameter(postconf, service->name, "smtpd_milters");
		g_autofree char *overrides =
		    postconf_service_parameter(postconf, service->name, "receive_override_options");

		if (postconf_listens(service) && strstr(list, filter) != NULL &&
		    strstr(overrides, "no_address_mappings") == NULL)
			return TRUE;
	}
	return FALSE;
}

static void
warn_of(struct doctor *doctor, const struct postconf *postconf, const struct map *maps, gsize count)
{
	for (gsize i = 0; i < count; i++) {
		g_autofree char *value = postconf_parameter(postconf, maps[i].name);

		if (*value != '\0' && !g_str_has_prefix(value, "static:"))
			doctor_add(doctor, FINDING_WARNING, PLACE, REMEDY_PLACE, "%s is set: %s",
				   maps[i].name, maps[i].leak);
	}
}

static void
check_cleanup_maps(struct doctor *doctor, const struct postconf *postconf)
{
	static const struct map maps[] = {
		{ "virtual_alias_maps",
		  "recipients are replaced behind the filter: what was left plain for one inside "
		  "can leave for somebody outside, what was encrypted cannot be read" },
		{ "canonical_maps", "addresses are rewritten behind the filter: mail goes to "
				    "somebody it was not encrypted for, signed fields change" },
		{ "sender_canonical_maps",
		  "senders are rewritten behind the filter, away from the signer" },
		{ "recipient_canonical_maps",
		  "recipients are rewritten behind the filter: plain text can leave" },
		{ "masquerade_domains", "addresses of signed mail are rewritten" },
		{ "always_bcc",
		  "a copy of all mail, decrypted mail too, goes to somebody the filter does not "
		  "know" },
		{ "sender_bcc_maps", "copies go to somebody the filter does not know" },
		{ "recipient_bcc_maps",
		  "copies, of decrypted mail too, go to somebody the filter does not know" },
	};

	warn_of(doctor, postconf, maps, G_N_ELEMENTS(maps));
}

/* local(8) sends what it expands on by itself, and that passes no filter at all. */
static void
check_local_maps(struct doctor *doctor, const struct postconf *postconf)
{
	static const struct map maps[] = {
		{ "alias_maps", "an alias with an address outside sends plain and decrypted mail "
				"there, and it passes no filter: force is not kept" },
		{ "forward_path",
		  "a user's .forward sends plain and decrypted mail outside, and it "
		  "passes no filter: force is not kept" },
		{ "luser_relay", "mail for unknown users leaves for another address, and passes no "
				 "filter" },
	};
	g_autofree char *domains = postconf_parameter(postconf, "mydestination");
	g_autofree char *transport = postconf_parameter(postconf, "local_transport");

	if (*domains != '\0' && g_str_has_prefix(transport, "local"))
		warn_of(doctor, postconf, maps, G_N_ELEMENTS(maps));
}

static void
check_delivery_maps(struct doctor *doctor, const struct postconf *postconf)
{
	static const struct map maps[] = {
		{ "smtp_generic_maps", "addresses of signed mail are rewritten as it leaves" },
		{ "smtp_header_checks", "fields of signed mail can change as it leaves" },
		{ "smtp_body_checks", "what was signed can change as it leaves" },
	};

	warn_of(doctor, postconf, maps, G_N_ELEMENTS(maps));
}

void
doctor_check_maps(struct doctor *doctor, const struct postconf *postconf, const char *filter)
{
	if (is_mapped(postconf, filter))
		check_cleanup_maps(doctor, postconf);
	check_local_maps(doctor, postconf);
	check_delivery_maps(doctor, postconf);
}
