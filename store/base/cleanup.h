/*
 * cleanup - automatic release of our own types, which have no typedef for g_autoptr.
 *
 *     DEFINE_CLEANUP(cert, cert_unref)           in the header of the type
 *     CLEANUP(cert) struct cert *found = NULL;   where it is used
 */
#ifndef STORE_BASE_CLEANUP_H
#define STORE_BASE_CLEANUP_H

#define DEFINE_CLEANUP(type, release)                                                              \
	static inline void type##_cleanup(struct type **p)                                         \
	{                                                                                          \
		if (*p != NULL)                                                                    \
			release(*p);                                                               \
	}
#define CLEANUP(type) __attribute__((cleanup(type##_cleanup)))

#endif
