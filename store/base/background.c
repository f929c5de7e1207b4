/*
 * background - priorities of single threads, and how busy the machine is.
 */
#include "store/base/background.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE_LOW 10
#define NICE_IDLE 19

void
background_thread(enum background background)
{
	static _Thread_local gboolean done;
	const struct sched_param none = { 0 };

	if (done)
		return;
	done = TRUE;
	if (sched_setscheduler(0, background == BACKGROUND_IDLE ? SCHED_IDLE : SCHED_BATCH,
			       &none) != 0 ||
	    background == BACKGROUND_LOW)
		(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid),
				  background == BACKGROUND_IDLE ? NICE_IDLE : NICE_LOW);
}

struct background_work {
	enum background background;
	GThreadFunc func;
	gpointer data;
};

static gpointer
run_work(gpointer data)
{
	const struct background_work *work = data;

	background_thread(work->background);
	return work->func(work->data);
}

gpointer
background_call(enum background background, GThreadFunc func, gpointer data)
{
	struct background_work work = { background, func, data };
	GThread *thread = g_thread_try_new("background", run_work, &work, NULL);

	return thread != NULL ? g_thread_join(thread) : func(data);
}

/* "cpu  user nice system idle iowait irq softirq steal …", in ticks. */
static gboolean
read_ticks(guint64 *busy, guint64 *all)
{
	g_autofree char *text = NULL;

	*busy = *all = 0;
	if (!g_file_get_contents("/proc/stat", &text, NULL, NULL) ||
	    !g_str_has_prefix(text, "cpu "))
		return FALSE;
	*strchrnul(text, '\n') = '\0';
	g_auto(GStrv) words = g_strsplit_set(text + strlen("cpu "), " ", -1);
	guint column = 0;
	for (char **word = words; *word != NULL && column < 8; word++) {
		guint64 ticks;

		if (**word == '\0')
			continue;
		if (!g_ascii_string_to_unsigned(*word, 10, 0, G_MAXUINT64, &ticks, NULL))
			return FALSE;
		*all += ticks;
		if (column != 3 && column != 4)
			*busy += ticks;
		column++;
	}
	return column >= 4;
}

double
background_busy(guint milliseconds)
{
	guint64 busy[2], all[2];

	if (!read_ticks(&busy[0], &all[0]))
		return -1;
	g_usleep((gulong)milliseconds * 1000);
	if (!read_ticks(&busy[1], &all[1]) || all[1] <= all[0])
		return -1;
	return (double)(busy[1] - busy[0]) / (double)(all[1] - all[0]);
}
