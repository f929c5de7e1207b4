/*
 * tsan_glib - tells the thread sanitizer about GLib's locks; included by --enable-tsan alone.
 *
 * GLib's mutexes and conditions are futexes inside of a library that is not instrumented, so
 * that the sanitizer takes everything that they guard for a race.
 */
#ifndef TESTS_SUPPORT_TSAN_GLIB_H
#define TESTS_SUPPORT_TSAN_GLIB_H

#include <glib.h>
#include <sanitizer/tsan_interface.h>

static inline void
tsan_mutex_lock(GMutex *mutex)
{
	g_mutex_lock(mutex);
	__tsan_acquire(mutex);
}

static inline void
tsan_mutex_unlock(GMutex *mutex)
{
	__tsan_release(mutex);
	g_mutex_unlock(mutex);
}

static inline gboolean
tsan_mutex_trylock(GMutex *mutex)
{
	gboolean locked = g_mutex_trylock(mutex);

	if (locked)
		__tsan_acquire(mutex);
	return locked;
}

static inline void
tsan_cond_wait(GCond *cond, GMutex *mutex)
{
	__tsan_release(mutex);
	g_cond_wait(cond, mutex);
	__tsan_acquire(mutex);
}

static inline gboolean
tsan_cond_wait_until(GCond *cond, GMutex *mutex, gint64 until)
{
	gboolean woken;

	__tsan_release(mutex);
	woken = g_cond_wait_until(cond, mutex, until);
	__tsan_acquire(mutex);
	return woken;
}

static inline void
tsan_rw_lock_writer_lock(GRWLock *lock)
{
	g_rw_lock_writer_lock(lock);
	__tsan_acquire(lock);
}

static inline void
tsan_rw_lock_writer_unlock(GRWLock *lock)
{
	__tsan_release(lock);
	g_rw_lock_writer_unlock(lock);
}

static inline void
tsan_rw_lock_reader_lock(GRWLock *lock)
{
	g_rw_lock_reader_lock(lock);
	__tsan_acquire(lock);
}

static inline void
tsan_rw_lock_reader_unlock(GRWLock *lock)
{
	__tsan_release(lock);
	g_rw_lock_reader_unlock(lock);
}

#define g_mutex_lock tsan_mutex_lock
#define g_mutex_unlock tsan_mutex_unlock
#define g_mutex_trylock tsan_mutex_trylock
#define g_cond_wait tsan_cond_wait
#define g_cond_wait_until tsan_cond_wait_until
#define g_rw_lock_writer_lock tsan_rw_lock_writer_lock
#define g_rw_lock_writer_unlock tsan_rw_lock_writer_unlock
#define g_rw_lock_reader_lock tsan_rw_lock_reader_lock
#define g_rw_lock_reader_unlock tsan_rw_lock_reader_unlock

#endif
