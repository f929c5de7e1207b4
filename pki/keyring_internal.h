/*
 * keyring_internal - between keyring.c and keyring_rotate.c.
 */
#ifndef PKI_KEYRING_INTERNAL_H
#define PKI_KEYRING_INTERNAL_H

#include "pki/keyring.h"

struct sealed_row;

struct db *keyring_db(struct keyring *keyring);
/* Unseals, parses, and checks that it is the key that the row's name says. */
struct key *keyring_open_row(struct keyring *keyring, const struct sealed_row *row, GError **error);

#endif
