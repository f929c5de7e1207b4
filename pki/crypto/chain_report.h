/*
 * chain_report - what a judgement of a path found, filled in by the files of chain.
 *
 * The first fault of a kind stays: what is found first is nearest to the certificate. Plain data;
 * a report belongs to one thread until chain_check() gives it away.
 */
#ifndef PKI_CRYPTO_CHAIN_REPORT_H
#define PKI_CRYPTO_CHAIN_REPORT_H

#include "pki/crypto/chain.h"

/* Invalid, without a fault and with an empty path. */
struct chain_report *chain_report_new(void);
/* sentence: taken. remedy: static text, "" for none. */
void chain_report_set_fault(struct chain_report *report, enum chain_fault fault, char *sentence,
			    const char *remedy);
/* path: struct cert, end certificate first; references are taken. */
void chain_report_set_path(struct chain_report *report, GPtrArray *path);

#endif
