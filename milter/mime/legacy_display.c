/* legacy_display - see legacy_display.h. */
#include "milter/mime/legacy_display.h"

gboolean
legacy_display_add(const struct mime_tree *tree, const char *subject, gboolean seven_bit,
		   struct spool_area *area, struct spool **entity, GError **error)
{
	(void)tree, (void)subject, (void)seven_bit, (void)area, (void)error;
	*entity = NULL;
	return TRUE;
}

gboolean
legacy_display_remove(const struct mime_tree *tree, gboolean older, struct spool_area *area,
		      struct spool **entity, GError **error)
{
	(void)tree, (void)older, (void)area, (void)error;
	*entity = NULL;
	return TRUE;
}
