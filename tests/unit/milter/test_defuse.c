/*
 * defuse: what any mail program would fetch is gone, what lies in the message stays, bytes of
 * everything else are kept, and what cannot be told is refused.
 */
#include <string.h>

#include "milter/mime/defuse.h"
#include "milter/mime/defuse_text.h"
#include "milter/mime/leaf.h"
#include "store/base/error.h"

struct text_row {
	const char *before;
	const char *after; /* NULL: refused */
};

static const struct text_row texts[] = {
	/* what the rule names */
	{ "<img src=\"http://a/\">", "<img xrc=\"http://a/\">" },
	{ "<img srcset='a 1x'>", "<img xrcset='a 1x'>" },
	{ "<table background=//a/>", "<table xackground=//a/>" },
	{ "<object data = 'http://a/'>", "<object xata = 'http://a/'>" },
	{ "<video poster\n=\n'http://a/'>", "<video xoster\n=\n'http://a/'>" },
	{ "<p style='background:url(http://a/)'>", "<p style='background:xrl(http://a/)'>" },
	{ "<style>@import 'a';</style>", "<style>@xmport 'a';</style>" },
	{ "<style>@IMPORT url(a)</style>", "<style>@xMPORT xrl(a)</style>" },
	{ "<p style='x:url (a)'>", "<p style='x:xrl (a)'>" },
	{ "<p style='x:image-set(\"a\" 1x)'>", "<p style='x:xmage-set(\"a\" 1x)'>" },
	{ "<p style='x:-webkit-image-set(\"a\" 1x)'>",
	  "<p style='x:-webkit-xmage-set(\"a\" 1x)'>" },
	/* what fetches as well */
	{ "<link rel=stylesheet href=a>", "<xink rel=stylesheet href=a>" },
	{ "<LINK href=a>", "<xINK href=a>" },
	{ "<base href='http://a/'>", "<xase href='http://a/'>" },
	{ "<basefont>", "<basefont>" },
	{ "<meta http-equiv=refresh content='0;url=a'>",
	  "<meta xttp-equiv=refresh content='0;url=a'>" },
	{ "<meta http-equiv='Content-Type' content='text/html'>",
	  "<meta http-equiv='Content-Type' content='text/html'>" },
	{ "<iframe srcdoc='&lt;img src=a>'>", "<iframe xrcdoc='&lt;img xrc=a>'>" },
	{ "<img lowsrc=a dynsrc=b>", "<img xowsrc=a xynsrc=b>" },
	{ "<applet codebase=a archive=b>", "<applet xodebase=a xrchive=b>" },
	{ "<html manifest=a>", "<html xanifest=a>" },
	{ "<a ping=a href=b>", "<a xing=a href=b>" },
	{ "<svg><image xlink:href='http://a/'/></svg>",
	  "<svg><xmage xlink:xref='http://a/'/></svg>" },
	{ "<svg><use href='http://a/#b'/></svg>", "<svg><xse xref='http://a/#b'/></svg>" },
	{ "<svg:image href='http://a/'/>", "<svg:xmage xref='http://a/'/>" },
	{ "<v:imagedata o:href='http://a/'>", "<v:imagedata o:xref='http://a/'>" },
	/* links wait for a click */
	{ "<a href='http://a/'>b</a>", "<a href='http://a/'>b</a>" },
	{ "<area href='http://a/'>", "<area href='http://a/'>" },
	/* what lies inside */
	{ "<img src=cid:a@b>", "<img src=cid:a@b>" },
	{ "<img src = \" CID:a@b\">", "<img src = \" CID:a@b\">" },
	{ "<img src=\"data:image/png;base64,AA==\">", "<img src=\"data:image/png;base64,AA==\">" },
	{ "<p style=\"x:url('cid:a')\">", "<p style=\"x:url('cid:a')\">" },
	{ "<p style='fill:url(#a)'>", "<p style='fill:url(#a)'>" },
	{ "<img src='data:image/svg+xml,<svg>'>", "<img xrc='data:image/svg+xml,<svg>'>" },
	{ "<iframe src='data:text/html,a'>", "<iframe xrc='data:text/html,a'>" },
	{ "<img src=' cid.example/a'>", "<img xrc=' cid.example/a'>" },
	{ "<img src='c&#105;d:a'>", "<img xrc='c&#105;d:a'>" },
	/* nobody agrees where this tag or comment ends */
	{ "<img alt='>' src=a>", "<img alt='>' xrc=a>" },
	{ "<img alt=\"<b>\" src=a>", "<img alt=\"<b>\" xrc=a>" },
	{ "<!-- <img src=a> -->", "<!-- <img xrc=a> -->" },
	{ "<!--[if mso]><img src=a><![endif]-->", "<!--[if mso]><img xrc=a><![endif]-->" },
	{ "<!-- <a title='--><img src=a>", "<!-- <a title='--><img xrc=a>" },
	{ "<title><img src=a></title>", "<title><img xrc=a></title>" },
	{ "<noscript><img src=a></noscript>", "<noscript><img xrc=a></noscript>" },
	{ "<img a=b/src=c>", "<img a=b/xrc=c>" },
	{ "<img \"\"src=c>", "<img \"\"xrc=c>" },
	{ "<img a='b'src=c>", "<img a='b'xrc=c>" },
	{ "<img a=`>`src=c>", "<img a=`>`xrc=c>" },
	{ "<img src", "<img src" },
	{ "<img src=", "<img xrc=" },
	{ "<img \240src=a>", "<img \240xrc=a>" },
	/* text is text */
	{ "<p>src=a data=b</p>", "<p>src=a data=b</p>" },
	{ "data=1", "data=1" },
	{ "<p data-src=a>", "<p data-src=a>" },
	{ "<p>the url (see there)", "<p>the xrl (see there)" }, /* it could be CSS to somebody */
	/* written in another way */
	{ "<p style='x:&#117;rl(a)'>", NULL },
	{ "<p style='x:&#x75rl(a)'>", NULL },
	{ "<p style='x:url&lpar;a)'>", NULL },
	{ "<p style='x:\\75rl(a)'>", NULL },
	{ "<p style='x:\\000075 rl(a)'>", NULL },
	{ "<p style='x:u\\rl(a)'>", NULL },
	{ "<p style='x:&bsol;75rl(a)'>", NULL },
	{ "<p style='x:&#92;75 rl(a)'>", NULL },
	{ "<style>@\\69mport 'a'</style>", NULL },
	{ "<style>&commat;import 'a'</style>", NULL },
	{ "<style>q:before { content: \"\\201C\" }</style>",
	  "<style>q:before { content: \"\\201C\" }</style>" },
	{ "a &amp; b &#228; \\ c", "a &amp; b &#228; \\ c" },
	{ "<!DOCTYPE a [<!ENTITY b 'c'>]>", NULL },
	{ "<?xml-stylesheet href=a?>", NULL },
	{ "<style>p { filter: progid:a.AlphaImageLoader(src=a) }</style>",
	  "<style>p { filter: progid:a.xlphaImageLoader(src=a) }</style>" },
	{ "<meta charset=utf-8>", "<meta charset=utf-8>" },
	{ "<meta charset = \"UTF-7\">", NULL },
	{ "<meta http-equiv=content-type content='text/html; charset=iso-2022-jp'>", NULL },
	{ "+ADw-img src=a>", NULL },
	{ "<im\001g>", NULL },
	{ "\377\376<", NULL },
	{ "", "" },
	{ "<", "<" },
	{ "&", "&" },
	{ "&#", "&#" },
	{ "\\", "\\" },
	{ "url", "url" },
	{ "@import", "@xmport" },
};

static void
test_texts(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *text = g_strdup(texts[i].before);
		gboolean changed;
		const char *doubt = defuse_text(text, strlen(text), FALSE, &changed);

		g_test_message("%s", texts[i].before);
		g_assert_cmpint(doubt != NULL, ==, texts[i].after == NULL);
		if (texts[i].after == NULL)
			continue;
		g_assert_cmpstr(text, ==, texts[i].after);
		g_assert_cmpint(changed, ==, strcmp(texts[i].before, texts[i].after) != 0);
	}
}

/* --- entities --- */

static struct spool_area *area;

static char *
defused(const char *text, gboolean *changed)
{
	CLEANUP(spool) struct spool *spool = spool_from_bytes(area, text, strlen(text), NULL);
	CLEANUP(headers) struct headers *headers = NULL;
	CLEANUP(entity) struct entity *entity = NULL;
	CLEANUP(entity) struct entity *safe = NULL;
	CLEANUP(spool) struct spool *out = NULL;
	g_autoptr(GBytes) bytes = NULL;
	GError *error = NULL;
	guint64 body = 0;

	headers = headers_parse(spool, 0, spool_size(spool), &body, NULL);
	entity = entity_new(headers, spool, 0, body, spool_size(spool));
	safe = defuse_html(entity, area, changed, &error);
	if (safe == NULL) {
		g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
		g_error_free(error);
		return NULL;
	}
	out = entity_bytes(safe, area, NULL);
	bytes = spool_bytes(out, 0, spool_size(out), 1000000, NULL);
	return g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

struct entity_row {
	const char *name, *before, *after;
};

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n"

static const struct entity_row entities[] = {
	{ "text", "Content-Type: text/plain\r\n\r\n<img src=a>\r\n",
	  "Content-Type: text/plain\r\n\r\n<img src=a>\r\n" },
	{ "HTML", "Content-Type: text/html\r\n\r\n<img src=a>\r\n",
	  "Content-Type: text/html\r\n\r\n<img xrc=a>\r\n" },
	{ "quoted-printable",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	  "<img s=72c=3D=\r\na>\r\n",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	  "<img xrc=3Da>\r\n" },
	{ "base64",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: "
	  "base64\r\n\r\nPGltZyBzcmM9YT4=\r\n",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: "
	  "base64\r\n\r\nPGltZyB4cmM9YT4=\r\n" },
	{ "base64 with more behind its end",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	  "YT4=\r\nPGltZyBzcmM9YT4=\r\n",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nYT4=\r\n" },
	{ "parts",
	  MIXED "\r\n<img src=a>\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=a>\r\n--b\r\n"
		"Content-Type: image/svg+xml\r\n\r\n<a href=b>\r\n--b--\r\nepi\r\n",
	  MIXED "\r\n<img src=a>\r\n--b\r\nContent-Type: text/html\r\n\r\n<img xrc=a>\r\n--b\r\n"
		"Content-Type: image/svg+xml\r\n\r\n<a xref=b>\r\n--b--\r\nepi\r\n" },
	{ "HTML by its name",
	  "Content-Type: application/octet-stream; name=a.HTML\r\n\r\n<img src=a>\r\n",
	  "Content-Type: application/octet-stream; name=a.HTML\r\n\r\n<img xrc=a>\r\n" },
	{ "attached message",
	  "Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n<img src=a>\r\n",
	  "Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n<img xrc=a>\r\n" },
	{ "UTF-16", "Content-Type: text/html; charset=utf-16\r\n\r\n<img src=a>\r\n", NULL },
	{ "UTF-7", "Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-img src=a>\r\n", NULL },
	{ "ISO-2022-JP", "Content-Type: text/html; charset=iso-2022-jp\r\n\r\na\r\n", NULL },
	{ "a charset that nobody knows", "Content-Type: text/html; charset=x\r\n\r\na\r\n", NULL },
	{ "a part that lies elsewhere",
	  "Content-Type: message/external-body; access-type=url; url=a\r\n\r\n\r\n", NULL },
	{ "attached message in base64",
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
	  NULL },
	{ "XML with a document type",
	  "Content-Type: text/xml\r\n\r\n<!DOCTYPE a SYSTEM \"http://a/\">\r\n", NULL },
	{ "no structure", "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\na\r\n", NULL },
};

static void
test_entity(gconstpointer data)
{
	const struct entity_row *row = data;
	gboolean changed;
	g_autofree char *after = defused(row->before, &changed);

	g_assert_cmpstr(after, ==, row->after);
	if (after != NULL)
		g_assert_cmpint(changed, ==, strcmp(row->before, after) != 0);
}

/* Time grows with the size alone, whatever the text. */
static void
test_time(void)
{
	static const char *const units[] = { "<img src=", "&#",      "\\7", "\"'`", "<a:a:",
					     "url(   ",   "src    ", "@i",  "<" };
	const gsize size = 512 * 1024;

	for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
		g_autoptr(GString) text = g_string_sized_new(size);
		gint64 start = g_get_monotonic_time();
		gboolean changed;

		while (text->len < size)
			g_string_append(text, units[i]);
		(void)defuse_text(text->str, text->len, FALSE, &changed);
		g_test_message("%s: %" G_GINT64_FORMAT " us", units[i],
			       g_get_monotonic_time() - start);
		g_assert_cmpint(g_get_monotonic_time() - start, <, 60 * G_USEC_PER_SEC);
	}
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(64 * 1024 * 1024);
	g_test_add_func("/defuse/texts", test_texts);
	for (gsize i = 0; i < G_N_ELEMENTS(entities); i++) {
		g_autofree char *name = g_strconcat("/defuse/entity/", entities[i].name, NULL);

		g_test_add_data_func(name, &entities[i], test_entity);
	}
	g_test_add_func("/defuse/time", test_time);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
