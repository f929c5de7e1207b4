/*
 * ca_context - what the built-in CA needs, of a gateway.
 */
#ifndef ADMIN_API_CA_CONTEXT_H
#define ADMIN_API_CA_CONTEXT_H

#include "milter/gateway.h"
#include "pki/ca.h"
#include "store/config/settings.h"

/* Borrowed from the gateway, for one act. */
static inline struct ca_context
ca_context_of_gateway(struct gateway *gateway)
{
	return (struct ca_context){ .db = gateway->db,
				    .keyring = gateway->keyring,
				    .clock = gateway->clock,
				    .public_url = gateway_settings(gateway)->public_url };
}

#endif
