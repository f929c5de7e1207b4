/*
 * authority_installer - the scripts, and what is put into them.
 */
#include "admin/api/authority_installer.h"

#include <string.h>

#include "pki/crypto/cert.h"

#define LINE_LENGTH 64

/* @NAME@ is what people see, @ID@ names files, @SHA256@ and @BASE64@ are the certificate. */
static const char linux_script[] =
    "#!/bin/sh\n"
    "# Installs a root certificate for all programs that use the system's store.\n"
    "#   @NAME@\n"
    "#   SHA-256 @SHA256@\n"
    "# Compare this fingerprint with one that you have from another source before you run it.\n"
    "# usage: sh install-root.sh [--remove]      (as root)\n"
    "set -eu\n"
    "name='postseal-@ID@'\n"
    "wanted='@HEX@'\n"
    "\n"
    "fail() { echo \"install-root: $*\" >&2; exit 1; }\n"
    "\n"
    "[ \"$(id -u)\" = 0 ] || fail 'run this as root'\n"
    "if [ -d /usr/local/share/ca-certificates ] && command -v update-ca-certificates >/dev/null; "
    "then\n"
    "\tplace=/usr/local/share/ca-certificates/$name.crt; update=update-ca-certificates\n"
    "elif [ -d /etc/pki/ca-trust/source/anchors ] && command -v update-ca-trust >/dev/null; then\n"
    "\tplace=/etc/pki/ca-trust/source/anchors/$name.pem; update='update-ca-trust extract'\n"
    "elif [ -d /etc/pki/trust/anchors ] && command -v update-ca-certificates >/dev/null; then\n"
    "\tplace=/etc/pki/trust/anchors/$name.pem; update=update-ca-certificates\n"
    "elif command -v trust >/dev/null && [ -d /etc/ca-certificates/trust-source/anchors ]; then\n"
    "\tplace=/etc/ca-certificates/trust-source/anchors/$name.pem; update='trust extract-compat'\n"
    "else\n"
    "\tfail 'this system keeps its roots in a place that this script does not know'\n"
    "fi\n"
    "\n"
    "if [ \"${1:-}\" = --remove ]; then\n"
    "\t[ -e \"$place\" ] || { echo 'install-root: it is not installed'; exit 0; }\n"
    "\trm -f \"$place\"\n"
    "\t$update >/dev/null\n"
    "\techo \"install-root: removed $place\"\n"
    "\texit 0\n"
    "fi\n"
    "[ $# = 0 ] || fail 'usage: sh install-root.sh [--remove]'\n"
    "\n"
    "new=$(mktemp) || fail 'no temporary file can be made'\n"
    "trap 'rm -f \"$new\"' EXIT\n"
    "cat >\"$new\" <<'END_OF_CERTIFICATE'\n"
    "-----BEGIN CERTIFICATE-----\n"
    "@BASE64@"
    "-----END CERTIFICATE-----\n"
    "END_OF_CERTIFICATE\n"
    "found=$(sed '/-----/d' \"$new\" | base64 -d | sha256sum | cut -d' ' -f1)\n"
    "[ \"$found\" = \"$wanted\" ] || fail \"this file is damaged: its certificate is $found, not "
    "$wanted\"\n"
    "if [ -e \"$place\" ] && cmp -s \"$new\" \"$place\"; then\n"
    "\techo 'install-root: it is installed already'\n"
    "\texit 0\n"
    "fi\n"
    "install -m 0644 \"$new\" \"$place\"\n"
    "$update >/dev/null\n"
    "echo \"install-root: installed $place\"\n";

static const char windows_script[] =
    "# Installs a root certificate for all users of this computer.\r\n"
    "#   @NAME@\r\n"
    "#   SHA-256 @SHA256@\r\n"
    "# Compare this fingerprint with one that you have from another source before you run it.\r\n"
    "# usage (as administrator): powershell -ExecutionPolicy Bypass -File install-root.ps1 "
    "[-Remove]\r\n"
    "param([switch]$Remove)\r\n"
    "$ErrorActionPreference = 'Stop'\r\n"
    "$wanted = '@HEX@'\r\n"
    "$text = @'\r\n"
    "@BASE64@"
    "'@\r\n"
    "\r\n"
    "$who = New-Object "
    "Security.Principal.WindowsPrincipal([Security.Principal.WindowsIdentity]::GetCurrent())\r\n"
    "if (-not $who.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {\r\n"
    "    Write-Error 'install-root: run this as administrator'; exit 1\r\n"
    "}\r\n"
    "$bytes = [Convert]::FromBase64String(($text -replace '\\s', ''))\r\n"
    "$hash = [Security.Cryptography.SHA256]::Create().ComputeHash($bytes)\r\n"
    "$found = ([BitConverter]::ToString($hash) -replace '-', '').ToLower()\r\n"
    "if ($found -ne $wanted) {\r\n"
    "    Write-Error \"install-root: this file is damaged: its certificate is $found\"; exit 1\r\n"
    "}\r\n"
    "$certificate = New-Object "
    "Security.Cryptography.X509Certificates.X509Certificate2(,[byte[]]$bytes)\r\n"
    "$store = New-Object Security.Cryptography.X509Certificates.X509Store('Root', "
    "'LocalMachine')\r\n"
    "$store.Open('ReadWrite')\r\n"
    "try {\r\n"
    "    $there = @($store.Certificates | Where-Object { $_.Thumbprint -eq $certificate.Thumbprint "
    "})\r\n"
    "    if ($Remove) {\r\n"
    "        if ($there.Count -eq 0) { Write-Output 'install-root: it is not installed' }\r\n"
    "        else { $store.Remove($certificate); Write-Output 'install-root: removed' }\r\n"
    "    } elseif ($there.Count -gt 0) {\r\n"
    "        Write-Output 'install-root: it is installed already'\r\n"
    "    } else {\r\n"
    "        $store.Add($certificate); Write-Output 'install-root: installed'\r\n"
    "    }\r\n"
    "} finally { $store.Close() }\r\n";

char *
authority_fingerprint(const char *hex)
{
	GString *text = g_string_new(NULL);

	for (gsize i = 0; hex[i] != '\0'; i++)
		g_string_append_printf(text, "%s%c", i > 0 && i % 2 == 0 ? ":" : "",
				       g_ascii_toupper(hex[i]));
	return g_string_free(text, FALSE);
}

/* Names come from people: what a shell might take for its own becomes a question mark. */
static char *
plain(const char *text)
{
	char *copy = g_strndup(text, 200);

	for (char *p = copy; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr(" .,=@+-", *p) == NULL)
			*p = '?';
	return copy;
}

static char *
lines_of_base64(GBytes *der, const char *end)
{
	gsize length;
	const guchar *bytes = g_bytes_get_data(der, &length);
	g_autofree char *whole = g_base64_encode(bytes, length);
	GString *text = g_string_new(NULL);

	for (gsize at = 0; at < strlen(whole); at += LINE_LENGTH)
		g_string_append_printf(text, "%.*s%s", LINE_LENGTH, whole + at, end);
	return g_string_free(text, FALSE);
}

static char *
fill(const char *template, const struct cert *root, const char *line_end)
{
	g_autofree char *name = plain(cert_subject(root));
	g_autofree char *spaced = authority_fingerprint(cert_sha256(root));
	g_autofree char *base64 = lines_of_base64(cert_der(root), line_end);
	g_autofree char *id = g_strndup(cert_sha256(root), 16);
	const struct {
		const char *mark, *value;
	} marks[] = { { "@NAME@", name },
		      { "@SHA256@", spaced },
		      { "@HEX@", cert_sha256(root) },
		      { "@ID@", id },
		      { "@BASE64@", base64 } };
	GString *text = g_string_new(template);

	for (gsize i = 0; i < G_N_ELEMENTS(marks); i++)
		g_string_replace(text, marks[i].mark, marks[i].value, 0);
	return g_string_free(text, FALSE);
}

char *
authority_installer_linux(const struct cert *root)
{
	return fill(linux_script, root, "\n");
}

char *
authority_installer_windows(const struct cert *root)
{
	return fill(windows_script, root, "\r\n");
}
