/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verify many images at once from one poll loop, and stop half of the work.
 *
 *     cc example.c $(pkg-config --cflags --libs wherry) -o example
 *     ./example FILE...
 *
 * Thirty-two verifications run at once.  Every other one reads a FILE.  The rest read images that
 * somebody is still writing and never comes to an end with: only a cancel ends those.  Any event
 * loop would do, since all it needs of a job is a descriptor to poll. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include <wherry.h>

#define JOBS 32

static struct wh_job *job[JOBS];
static struct pollfd wait_for[JOBS];
static int endless[JOBS][2];        /* the pipe that every other job reads from */

/* A pipe with the beginning of an image in it, and open for more. */
static void feed(int pipe_fd[2], const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    char begin[2048];
    ssize_t n = read(file, begin, sizeof begin);

    if (pipe2(pipe_fd, O_CLOEXEC) < 0 || (n > 0 && write(pipe_fd[1], begin, (size_t)n / 2) < 0))
        perror("feed a pipe");
    close(file);
}

static void begin(int i, const char *path)
{
    job[i] = wh_verify_new(path, WH_DIGEST);
    if (i % 2) {
        feed(endless[i], path);
        wh_job_input(job[i], endless[i][0]);
    }
    wh_job_start(job[i]);           /* a failure to start is the job's end, and told as such */
    wait_for[i] = (struct pollfd){ .fd = wh_job_fd(job[i]), .events = POLLIN };
}

/* How many jobs of files, or of pipes, have not ended. */
static int running(int of_pipes)
{
    int n = 0;

    for (int i = of_pipes; i < JOBS; i += 2)
        n += wait_for[i].fd >= 0;
    return n;
}

/* Wait until something is new. */
static void attend(void)
{
    poll(wait_for, JOBS, -1);
    for (int i = 0; i < JOBS; i++) {
        if (wait_for[i].revents && wh_job_state(job[i], NULL) == WH_JOB_ENDED)
            wait_for[i].fd = -1;    /* poll passes over it from now on */
    }
}

static void finish(int i, int tally[])
{
    tally[wh_job_result(job[i])]++;
    wh_job_free(job[i]);
    if (i % 2) {
        close(endless[i][0]);
        close(endless[i][1]);
    }
}

int main(int argc, char **argv)
{
    int tally[WH_CANCELLED + 1] = { 0 };

    if (argc < 2)
        return 2;
    for (int i = 0; i < JOBS; i++)
        begin(i, argv[1 + i / 2 % (argc - 1)]);
    while (running(0) > 0)
        attend();
    for (int i = 1; i < JOBS; i += 2)
        wh_job_cancel(job[i]);
    while (running(1) > 0)
        attend();
    for (int i = 0; i < JOBS; i++)
        finish(i, tally);

    printf("%d verifications:", JOBS);
    for (int kind = WH_OK; kind <= WH_CANCELLED; kind++) {
        if (tally[kind])
            printf(" %d %s", tally[kind], wh_kind_name((enum wh_kind)kind));
    }
    printf("\n");
    return 0;
}
