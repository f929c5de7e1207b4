/*
 * system_roots - the roots of NSS's built-in module that carry the e-mail trust bit (T1).
 *
 * The module (libnssckbi) is loaded through p11-kit for the length of the call. A root counts when
 * a trust object of the module names it by issuer and serial number, bears its SHA-1, and says
 * "trusted delegator" for e-mail protection; that servers are trusted is no reason.
 * Failure: NOT_FOUND when the system has no such module.
 */
#ifndef PKI_SYSTEM_ROOTS_H
#define PKI_SYSTEM_ROOTS_H

#include <glib.h>

/* GBytes with the DER of each; *module is where they came from, owned by the caller. */
GPtrArray *system_roots_email(char **module, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
