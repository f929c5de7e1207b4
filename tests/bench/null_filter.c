/*
 * null_filter - a filter on libmilter that does nothing, or as little as can be done.
 *
 *     null_filter SOCKET            takes every message and accepts it
 *     null_filter SOCKET echo       also keeps the body and gives it back, with one header added
 *
 * What it reaches is what libmilter and the load generator leave to a filter.
 */
#include <glib.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE_BYTES 65535u
#define DESCRIPTORS_SCANNED 64

static gboolean echo;

static GByteArray *
body_of(SMFICTX *ctx)
{
	GByteArray *body = smfi_getpriv(ctx);

	if (body == NULL) {
		body = g_byte_array_new();
		smfi_setpriv(ctx, body);
	}
	return body;
}

static sfsistat
on_mail(SMFICTX *ctx, char **args)
{
	(void)args;
	g_byte_array_set_size(body_of(ctx), 0);
	return SMFIS_CONTINUE;
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **args)
{
	(void)ctx;
	(void)args;
	return SMFIS_CONTINUE;
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return SMFIS_CONTINUE;
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *bytes, size_t length)
{
	if (echo)
		g_byte_array_append(body_of(ctx), bytes, (guint)length);
	return SMFIS_CONTINUE;
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	GByteArray *body = body_of(ctx);

	if (!echo)
		return SMFIS_CONTINUE;
	for (guint at = 0; at < body->len; at += PIECE_BYTES)
		if (smfi_replacebody(ctx, body->data + at, (int)MIN(PIECE_BYTES, body->len - at)) !=
		    MI_SUCCESS)
			return SMFIS_TEMPFAIL;
	smfi_addheader(ctx, (char *)"X-Null", (char *)" echo");
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	GByteArray *body = smfi_getpriv(ctx);

	if (body != NULL)
		g_byte_array_unref(body);
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long unused1,
	     unsigned long unused2, unsigned long *actions_out, unsigned long *steps_out,
	     unsigned long *unused1_out, unsigned long *unused2_out)
{
	(void)ctx;
	(void)unused1;
	(void)unused2;
	*actions_out = actions & (SMFIF_ADDHDRS | SMFIF_CHGBODY);
	*steps_out =
	    steps & (SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA |
		     SMFIP_NR_UNKN | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_NOCONNECT |
		     SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_HDR_LEADSPC);
	*unused1_out = 0;
	*unused2_out = 0;
	return SMFIS_CONTINUE;
}

/* On the listening socket, for all that are accepted from it: without it each message with
 * modifications waits for a delayed acknowledgement. */
static void
nodelay_set(void)
{
	int on = 1;

	for (int fd = 3; fd < DESCRIPTORS_SCANNED; fd++)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int
main(int argc, char **argv)
{
	struct smfiDesc filter = {
		.xxfi_name = (char *)"null",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGBODY,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eoh = on_eoh,
		.xxfi_body = on_body,
		.xxfi_eom = on_eom,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	if (argc < 2) {
		g_printerr("usage: null_filter SOCKET [echo]\n");
		return 2;
	}
	echo = argc > 2 && strcmp(argv[2], "echo") == 0;
	if (smfi_setconn(argv[1]) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS ||
	    smfi_opensocket(TRUE) != MI_SUCCESS) {
		g_printerr("null_filter: cannot listen on %s\n", argv[1]);
		return 1;
	}
	nodelay_set();
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
