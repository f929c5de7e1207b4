/*
 * harvesting - what a message that was let through teaches about certificates (T7).
 *
 * Inbound mail signed by an outsider: his certificates are offered to the store where one of the
 * recipients has the preference harvest. Outbound mail: which certificates it was encrypted to.
 * Called after the message was reported; nothing here changes it. Threads: any.
 */
#ifndef MILTER_HARVESTING_H
#define MILTER_HARVESTING_H

struct gateway;
struct group;
struct harvest;
struct reading;
struct ruling;
struct structure;

void harvesting_inbound(struct harvest *harvest, struct gateway *gateway,
			const struct ruling *ruling, const struct structure *structure);
/* The same where the message was read already, with what was inside of an encryption. */
void harvesting_reading(struct harvest *harvest, struct gateway *gateway,
			const struct ruling *ruling, const struct reading *reading);
void harvesting_outbound(struct harvest *harvest, const struct group *copy);

#endif
