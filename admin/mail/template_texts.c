/*
 * template_texts - the built-in texts, in English and German.
 */
#include <string.h>

#include "admin/mail/template.h"

const struct template_info template_infos[] = {
	{ "bundle", "the mail that brings a user his keys as a PKCS#12 file",
	  "name email file sender keys expires by_sms by_hand weak root host", FALSE },
	{ "ca", "the mail that brings the certificates of a CA", "name files sender host", FALSE },
	{ "csr", "says that a certificate request waits to be taken to its CA",
	  "id name email handler host", FALSE },
	{ "sms", "the text message with the password of a PKCS#12 file",
	  "password email sender host", TRUE },
	{ .name = NULL },
};

const char *const template_languages[] = { "en", "de", NULL };

#define HTML_BEGIN                                                                                 \
	"<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head>\n"                           \
	"<body style=\"font-family:sans-serif;max-width:42em\">\n"
#define HTML_END "</body></html>\n"

static const struct text {
	const char *name, *language;
	const char *parts[TEMPLATE_PARTS];
} builtin_texts[] = {
	{ "bundle",
	  "en",
	  { "Your key for encrypted and signed mail: {{email}}",
	    "Dear user of {{email}},\n\n"
	    "the file {{file}} in this mail holds your personal key and certificate for\n"
	    "S/MIME. With it your mail program reads mail that is encrypted for you, and\n"
	    "signs mail in your name. It was issued to: {{name}}\n"
	    "It is valid until {{expires}}.\n\n"
	    "The file is locked with a password.\n"
	    "{{#by_sms}}You get the password in a text message (SMS), including the hyphens.\n"
	    "{{/by_sms}}"
	    "{{#by_hand}}You get the password in another way, never by mail. Ask whoever\n"
	    "looks after your mail if you do not have it.\n{{/by_hand}}"
	    "{{#weak}}\nNote: at the administrator's wish this file is encrypted with an OLD,\n"
	    "WEAK method (3DES), for programs that read no other. Do not keep it.\n{{/weak}}"
	    "\nHow to take it into your mail program\n\n"
	    "First save the file {{file}} on your computer.\n\n"
	    "Outlook (Windows)\n"
	    "  1. Double-click the saved file. The certificate import wizard opens.\n"
	    "  2. Choose \"Current User\", go on twice, and type the password.\n"
	    "  3. Leave all other choices as they are and finish.\n"
	    "  4. In Outlook: File, Options, Trust Center, Trust Center Settings, Email\n"
	    "     Security, Settings: choose the new certificate.\n\n"
	    "Thunderbird\n"
	    "  1. Settings, Privacy & Security, Certificates, Manage Certificates.\n"
	    "  2. Your Certificates, Import: choose the file and type the password.\n"
	    "  3. Account Settings, End-to-End Encryption, S/MIME: select the certificate.\n"
	    "{{#root}}"
	    "  4. Manage Certificates, Authorities: select the entry of\n"
	    "     {{root}}\n"
	    "     Edit Trust, and allow it to identify mail users.\n{{/root}}\n"
	    "Apple Mail (macOS)\n"
	    "  1. Double-click the saved file. Keychain Access opens: choose \"login\" and\n"
	    "     type the password.\n"
	    "  2. Quit Mail and open it again.\n\n"
	    "iPhone and iPad\n"
	    "  1. Tap the file in this mail, then Settings, Profile Downloaded, Install.\n"
	    "  2. Settings, Mail, Accounts, your account, Advanced: switch S/MIME on.\n\n"
	    "When it works, delete the saved file and this mail. Never pass the file or the\n"
	    "password on to anybody.\n\n"
	    "This mail was written by the mail gateway. Questions: {{sender}}\n",
	    HTML_BEGIN
	    "<p>Dear user of {{email}},</p>\n"
	    "<p>the file <b>{{file}}</b> in this mail holds your personal key and certificate "
	    "for S/MIME. With it your mail program reads mail that is encrypted for you, and signs "
	    "mail in your name. It was issued to: {{name}}. It is valid until {{expires}}.</p>\n"
	    "<p>The file is locked with a password. "
	    "{{#by_sms}}You get the password in a text message (SMS), including the "
	    "hyphens.{{/by_sms}}"
	    "{{#by_hand}}You get the password in another way, never by mail. Ask whoever looks "
	    "after your mail if you do not have it.{{/by_hand}}</p>\n"
	    "{{#weak}}<p><b>Note:</b> at the administrator's wish this file is encrypted with an "
	    "<b>old, weak method</b> (3DES), for programs that read no other. Do not keep "
	    "it.</p>\n{{/weak}}"
	    "<h3>How to take it into your mail program</h3>\n"
	    "<p>First save the file {{file}} on your computer.</p>\n"
	    "<p><b>Outlook (Windows)</b></p><ol>"
	    "<li>Double-click the saved file. The certificate import wizard opens.</li>"
	    "<li>Choose &quot;Current User&quot;, go on twice, and type the password.</li>"
	    "<li>Leave all other choices as they are and finish.</li>"
	    "<li>In Outlook: File, Options, Trust Center, Trust Center Settings, Email Security, "
	    "Settings: choose the new certificate.</li></ol>\n"
	    "<p><b>Thunderbird</b></p><ol>"
	    "<li>Settings, Privacy &amp; Security, Certificates, Manage Certificates.</li>"
	    "<li>Your Certificates, Import: choose the file and type the password.</li>"
	    "<li>Account Settings, End-to-End Encryption, S/MIME: select the certificate.</li>"
	    "{{#root}}<li>Manage Certificates, Authorities: select the entry of {{root}}, Edit "
	    "Trust, and allow it to identify mail users.</li>{{/root}}</ol>\n"
	    "<p><b>Apple Mail (macOS)</b></p><ol>"
	    "<li>Double-click the saved file. Keychain Access opens: choose &quot;login&quot; and "
	    "type the password.</li>"
	    "<li>Quit Mail and open it again.</li></ol>\n"
	    "<p><b>iPhone and iPad</b></p><ol>"
	    "<li>Tap the file in this mail, then Settings, Profile Downloaded, Install.</li>"
	    "<li>Settings, Mail, Accounts, your account, Advanced: switch S/MIME on.</li></ol>\n"
	    "<p>When it works, delete the saved file and this mail. Never pass the file or the "
	    "password on to anybody.</p>\n"
	    "<p>This mail was written by the mail gateway. Questions: "
	    "{{sender}}</p>\n" HTML_END } },
	{ "bundle",
	  "de",
	  { "Ihr Schlüssel für verschlüsselte und signierte Mail: {{email}}",
	    "Guten Tag,\n\n"
	    "die Datei {{file}} in dieser Mail enthält Ihren persönlichen\n"
	    "S/MIME-Schlüssel mit Zertifikat für {{email}}. Damit liest Ihr Mailprogramm\n"
	    "Mails, die für Sie verschlüsselt sind, und signiert Mails in Ihrem Namen.\n"
	    "Ausgestellt auf: {{name}}\n"
	    "Gültig bis: {{expires}}\n\n"
	    "Die Datei ist mit einem Passwort geschützt.\n"
	    "{{#by_sms}}Sie bekommen das Passwort per SMS. Die Bindestriche gehören dazu.\n"
	    "{{/by_sms}}"
	    "{{#by_hand}}Sie bekommen das Passwort auf einem anderen Weg, niemals per Mail.\n"
	    "Fragen Sie Ihre Mail-Administration, wenn es Ihnen fehlt.\n{{/by_hand}}"
	    "{{#weak}}\nHinweis: Diese Datei ist auf Wunsch der Administration mit einem ALTEN,\n"
	    "SCHWACHEN Verfahren (3DES) verschlüsselt, für Programme, die kein anderes lesen.\n"
	    "Heben Sie sie nicht auf.\n{{/weak}}"
	    "\nSo kommt der Schlüssel in Ihr Mailprogramm\n\n"
	    "Speichern Sie zuerst die Datei {{file}} auf Ihrem Rechner.\n\n"
	    "Outlook (Windows)\n"
	    "  1. Doppelklicken Sie auf die gespeicherte Datei. Der Assistent öffnet sich.\n"
	    "  2. Wählen Sie \"Aktueller Benutzer\", zweimal Weiter, und geben Sie das\n"
	    "     Passwort ein.\n"
	    "  3. Lassen Sie alles andere, wie es ist, und schließen Sie ab.\n"
	    "  4. In Outlook: Datei, Optionen, Trust Center, Einstellungen für das Trust\n"
	    "     Center, E-Mail-Sicherheit, Einstellungen: neues Zertifikat wählen.\n\n"
	    "Thunderbird\n"
	    "  1. Einstellungen, Datenschutz & Sicherheit, Zertifikate verwalten.\n"
	    "  2. Ihre Zertifikate, Importieren: Datei wählen, Passwort eingeben.\n"
	    "  3. Konten-Einstellungen, Ende-zu-Ende-Verschlüsselung, S/MIME: Zertifikat\n"
	    "     auswählen.\n"
	    "{{#root}}"
	    "  4. Zertifikate verwalten, Zertifizierungsstellen: den Eintrag\n"
	    "     {{root}}\n"
	    "     auswählen, Vertrauen bearbeiten, für Mail-Nutzer erlauben.\n{{/root}}\n"
	    "Apple Mail (macOS)\n"
	    "  1. Doppelklicken Sie auf die Datei. Die Schlüsselbundverwaltung öffnet sich:\n"
	    "     \"Anmeldung\" wählen und Passwort eingeben.\n"
	    "  2. Mail beenden und wieder öffnen.\n\n"
	    "iPhone und iPad\n"
	    "  1. Datei in dieser Mail antippen, dann Einstellungen, Profil geladen,\n"
	    "     Installieren.\n"
	    "  2. Einstellungen, Mail, Accounts, Ihr Account, Erweitert: S/MIME einschalten.\n\n"
	    "Wenn alles funktioniert, löschen Sie die gespeicherte Datei und diese Mail.\n"
	    "Geben Sie Datei und Passwort niemals weiter.\n\n"
	    "Diese Mail hat das Mail-Gateway geschrieben. Fragen: {{sender}}\n",
	    HTML_BEGIN
	    "<p>Guten Tag,</p>\n"
	    "<p>die Datei <b>{{file}}</b> in dieser Mail enthält Ihren persönlichen "
	    "S/MIME-Schlüssel mit Zertifikat für {{email}}. Damit liest Ihr Mailprogramm Mails, "
	    "die "
	    "für Sie verschlüsselt sind, und signiert Mails in Ihrem Namen. Ausgestellt auf: "
	    "{{name}}. Gültig bis: {{expires}}.</p>\n"
	    "<p>Die Datei ist mit einem Passwort geschützt. "
	    "{{#by_sms}}Sie bekommen das Passwort per SMS. Die Bindestriche gehören "
	    "dazu.{{/by_sms}}"
	    "{{#by_hand}}Sie bekommen das Passwort auf einem anderen Weg, niemals per Mail. Fragen "
	    "Sie Ihre Mail-Administration, wenn es Ihnen fehlt.{{/by_hand}}</p>\n"
	    "{{#weak}}<p><b>Hinweis:</b> Diese Datei ist auf Wunsch der Administration mit einem "
	    "<b>alten, schwachen Verfahren</b> (3DES) verschlüsselt, für Programme, die kein "
	    "anderes lesen. Heben Sie sie nicht auf.</p>\n{{/weak}}"
	    "<h3>So kommt der Schlüssel in Ihr Mailprogramm</h3>\n"
	    "<p>Speichern Sie zuerst die Datei {{file}} auf Ihrem Rechner.</p>\n"
	    "<p><b>Outlook (Windows)</b></p><ol>"
	    "<li>Doppelklicken Sie auf die gespeicherte Datei. Der Assistent öffnet sich.</li>"
	    "<li>Wählen Sie &quot;Aktueller Benutzer&quot;, zweimal Weiter, und geben Sie das "
	    "Passwort ein.</li>"
	    "<li>Lassen Sie alles andere, wie es ist, und schließen Sie ab.</li>"
	    "<li>In Outlook: Datei, Optionen, Trust Center, Einstellungen für das Trust Center, "
	    "E-Mail-Sicherheit, Einstellungen: neues Zertifikat wählen.</li></ol>\n"
	    "<p><b>Thunderbird</b></p><ol>"
	    "<li>Einstellungen, Datenschutz &amp; Sicherheit, Zertifikate verwalten.</li>"
	    "<li>Ihre Zertifikate, Importieren: Datei wählen, Passwort eingeben.</li>"
	    "<li>Konten-Einstellungen, Ende-zu-Ende-Verschlüsselung, S/MIME: Zertifikat "
	    "auswählen.</li>"
	    "{{#root}}<li>Zertifikate verwalten, Zertifizierungsstellen: den Eintrag {{root}} "
	    "auswählen, Vertrauen bearbeiten, für Mail-Nutzer erlauben.</li>{{/root}}</ol>\n"
	    "<p><b>Apple Mail (macOS)</b></p><ol>"
	    "<li>Doppelklicken Sie auf die Datei. Die Schlüsselbundverwaltung öffnet sich: "
	    "&quot;Anmeldung&quot; wählen und Passwort eingeben.</li>"
	    "<li>Mail beenden und wieder öffnen.</li></ol>\n"
	    "<p><b>iPhone und iPad</b></p><ol>"
	    "<li>Datei in dieser Mail antippen, dann Einstellungen, Profil geladen, "
	    "Installieren.</li>"
	    "<li>Einstellungen, Mail, Accounts, Ihr Account, Erweitert: S/MIME "
	    "einschalten.</li></ol>\n"
	    "<p>Wenn alles funktioniert, löschen Sie die gespeicherte Datei und diese Mail. Geben "
	    "Sie Datei und Passwort niemals weiter.</p>\n"
	    "<p>Diese Mail hat das Mail-Gateway geschrieben. Fragen: {{sender}}</p>\n" HTML_END } },
	{ "ca",
	  "en",
	  { "CA certificates: {{name}}",
	    "Attached are the certificates of the certification authority\n{{name}}: {{files}}\n\n"
	    "Mail that is signed under it is shown as valid when the root certificate is\n"
	    "trusted by your mail program. Before you trust it, compare its fingerprint with\n"
	    "whoever sent you this: a mail can be forged.\n\n"
	    "This mail was written by the mail gateway at {{host}}. Questions: {{sender}}\n",
	    NULL } },
	{ "ca",
	  "de",
	  { "CA-Zertifikate: {{name}}",
	    "Angehängt sind die Zertifikate der Zertifizierungsstelle\n{{name}}: {{files}}\n\n"
	    "Damit signierte Mails werden als gültig angezeigt, wenn Ihr Mailprogramm dem\n"
	    "Wurzelzertifikat vertraut. Vergleichen Sie vorher den Fingerabdruck mit dem\n"
	    "Absender: Eine Mail kann gefälscht sein.\n\n"
	    "Diese Mail hat das Mail-Gateway auf {{host}} geschrieben. Fragen: {{sender}}\n",
	    NULL } },
	{ "csr",
	  "en",
	  { "Certificate request {{id}} for {{email}} waits",
	    "The certificate request {{id}} ({{name}}, {{email}}) waits for its CA.\n\n"
	    "  postseal request csr {{id}} --output request-{{id}}.csr\n\n"
	    "writes the request to a file; have the CA sign it, then bring the certificate:\n\n"
	    "  postseal request upload FILE\n\n"
	    "Handler: {{handler}}. This mail was written by the mail gateway at {{host}}.\n",
	    NULL } },
	{ "csr",
	  "de",
	  { "Zertifikatsanforderung {{id}} für {{email}} wartet",
	    "Die Zertifikatsanforderung {{id}} ({{name}}, {{email}}) wartet auf ihre CA.\n\n"
	    "  postseal request csr {{id}} --output request-{{id}}.csr\n\n"
	    "schreibt die Anforderung in eine Datei; lassen Sie sie von der CA signieren und\n"
	    "bringen Sie das Zertifikat zurück:\n\n"
	    "  postseal request upload DATEI\n\n"
	    "Handler: {{handler}}. Diese Mail hat das Mail-Gateway auf {{host}} geschrieben.\n",
	    NULL } },
	{ "sms", "en", { NULL, "Password of the key file for {{email}}: {{password}}", NULL } },
	{ "sms", "de", { NULL, "Passwort der Schlüsseldatei für {{email}}: {{password}}", NULL } },
};

const char *
template_builtin(const char *name, const char *language, enum template_part part)
{
	for (gsize i = 0; i < G_N_ELEMENTS(builtin_texts); i++)
		if (strcmp(builtin_texts[i].name, name) == 0 &&
		    strcmp(builtin_texts[i].language, language) == 0)
			return builtin_texts[i].parts[part];
	return NULL;
}
