/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Process 1 of the Linux guest once it is set up: `tick N SECONDS` each second on the console, and
 * what the words ask for beside it:
 *
 *     fill=random|zero fillmb=MB   hold so much memory, of what cannot be compressed or of zeros
 *     dirty=PAGES                  write into so many pages of it a second, all in turn
 *     journal=DEVICE               write tick N into sector N, durably, and read the one before
 *
 * The memory is read through for ever, a twentieth a second, and every word compared. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))
#define DEFAULT_MB 16                       /* that dirty= writes into when fillmb= is not given */
#define READ_SECONDS 20
#define SECTOR 512

static uint64_t *memory;
static uint32_t *writes;                    /* how often each page was written: its first word */
static size_t pages;
static bool random_fill;
static uint64_t seed;
static size_t dirty_rate;
static const char *journal;

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t expected(size_t page, size_t word)
{
    if (word == 0 && writes[page])
        return writes[page];
    return random_fill ? mix(seed + page * WORDS + word) : 0;
}

static void fill(void)
{
    for (size_t p = 0; p < pages; p++) {
        for (size_t w = 0; w < WORDS; w++)
            memory[p * WORDS + w] = expected(p, w);
    }
}

static void check(size_t page)
{
    for (size_t w = 0; w < WORDS; w++) {
        uint64_t found = memory[page * WORDS + w];

        if (found == expected(page, w))
            continue;
        printf("BAD page=%zu word=%zu expected=%#" PRIx64 " found=%#" PRIx64 "\n", page, w,
               expected(page, w), found);
        memory[page * WORDS + w] = expected(page, w);
        return;
    }
}

static void dirty(size_t count)
{
    static size_t at;

    for (; count; count--, at = (at + 1) % pages)
        memory[at * WORDS] = ++writes[at];
}

/* Ten times a second; one thread both writes and reads, so that they need no lock. */
static void *work(void *unused)
{
    size_t at = 0;

    for (unsigned turn = 0;; turn++) {
        nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
        dirty(dirty_rate * (turn % 10 + 1) / 10 - dirty_rate * (turn % 10) / 10);
        for (size_t n = pages / (READ_SECONDS * 10) + 1; n; n--, at = (at + 1) % pages)
            check(at);
    }
    return unused;
}

static unsigned long ticks;

static void describe(char *sector, unsigned long tick, long seconds)
{
    memset(sector, 0, SECTOR);
    snprintf(sector, SECTOR, "tick %lu %ld\n", tick, seconds);
}

/* Directly, past the cache: what is read comes from the disk. */
static bool record(int fd, char *sector, unsigned long tick)
{
    static char last[SECTOR];
    off_t size = lseek(fd, 0, SEEK_END), here;

    if (size < SECTOR)
        return false;
    here = (off_t)tick * SECTOR % size;
    if (tick > 1) {
        if (pread(fd, sector, SECTOR, here ? here - SECTOR : size - SECTOR) != SECTOR)
            return false;
        if (memcmp(sector, last, SECTOR))
            printf("BAD sector=%lu expected=%.30s found=%.30s\n", tick - 1, last, sector);
    }
    describe(sector, tick, time(NULL));
    memcpy(last, sector, SECTOR);
    return pwrite(fd, sector, SECTOR, here) == SECTOR && !fdatasync(fd);
}

/* A disk that stands still must not stop the ticks, so it has a thread of its own. */
static void *keep_journal(void *unused)
{
    static char sector[SECTOR] __attribute__((aligned(PAGE)));
    int fd = open(journal, O_RDWR | O_DIRECT);

    for (unsigned long done = 0;;) {
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        if (__atomic_load_n(&ticks, __ATOMIC_ACQUIRE) == done)
            continue;
        if (fd < 0 || !record(fd, sector, ++done))
            printf("BAD disk: %s: %s\n", journal, strerror(errno));
    }
    return unused;
}

static void start(void *(*run)(void *))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, NULL))
        printf("BAD thread\n");
}

static void hold(size_t mb)
{
    pages = mb * (1048576 / PAGE);
    memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    writes = calloc(pages, sizeof *writes);
    if (memory == MAP_FAILED || !writes) {
        printf("BAD no %zu MiB of memory\n", mb);
        pages = 0;
        return;
    }
    while (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        ;
    fill();
    printf("holding %zu MiB of %s, %zu pages written a second\n", mb,
           random_fill ? "random data" : "zeros", dirty_rate);
    start(work);
}

int main(int argc, char **argv)
{
    size_t mb = 0;
    struct timespec next;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        sscanf(argv[i], "fillmb=%zu", &mb);
        sscanf(argv[i], "dirty=%zu", &dirty_rate);
        random_fill |= !strcmp(argv[i], "fill=random");
        if (!strncmp(argv[i], "journal=", 8))
            journal = argv[i] + 8;
    }
    if (mb || dirty_rate)
        hold(mb ? mb : DEFAULT_MB);
    if (journal)
        start(keep_journal);
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        __atomic_add_fetch(&ticks, 1, __ATOMIC_RELEASE);
        printf("tick %lu %ld\n", ticks, (long)time(NULL));
        next.tv_sec++;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        while (waitpid(-1, NULL, WNOHANG) > 0)  /* process 1 inherits all that ends */
            ;
    }
}
