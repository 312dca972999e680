/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libwherry: read, check, convert and take apart the images that Xen's toolstack makes of guests.
 *
 * Every operation is a job.  A job is made, then either run to its end in the calling thread or
 * started on a thread of its own; what it says afterwards is the same.
 *
 *     struct wh_job *j = wh_verify_new("guest.save", WH_DIGEST);
 *
 *     wh_job_run(j);                              one call that waits
 *
 *     wh_job_start(j);                            or: any event loop, any number at once
 *     ... poll wh_job_fd(j) for POLLIN, then
 *     while (wh_job_state(j, &progress) != WH_JOB_ENDED) ...
 *
 *     if (wh_job_result(j) != WH_OK)
 *         fprintf(stderr, "%s\n", wh_job_error(j));
 *     wh_job_free(j);
 *
 * A job that fails has changed nothing: files it was to make appear under their names only when
 * they are whole and on disk.  (Where only bringing the folder to disk failed, the text says so.)
 *
 * Threads: a job belongs to one thread at a time, but for wh_job_cancel, wh_job_state and
 * wh_job_fd, which any thread may call while it runs.  Different jobs share nothing. */
#ifndef WHERRY_H
#define WHERRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WH_API __attribute__((visibility("default")))

/* What kind of failure it was, which is what a caller can do about it. */
enum wh_kind {
    WH_OK = 0,
    WH_STREAM = 1,      /* the image breaks a rule of its format: never retry */
    WH_USAGE = 2,       /* what was asked for makes no sense here */
    WH_SYSTEM = 3,      /* a system call failed: see the text */
    WH_TIMEOUT = 4,     /* a step took longer than it was given */
    WH_PEER = 5,        /* the other end, or QEMU, refused, misbehaved or left */
    WH_GUEST = 6,       /* the guest would not */
    WH_XEN = 7,         /* the hypervisor or its store would not */
    WH_CANCELLED = 8,   /* somebody called wh_job_cancel */
};

/* A word for it ("stream"), and the exit code of the wherry command.  Never fail. */
WH_API const char *wh_kind_name(enum wh_kind kind);
WH_API int wh_kind_exit(enum wh_kind kind);

/* The library's version, "0.1.0". */
WH_API const char *wh_version(void);

/* ---------------------------------------------------------------------------------- jobs */

struct wh_job;

enum wh_state {
    WH_JOB_NEW,         /* made, not yet run */
    WH_JOB_RUNNING,
    WH_JOB_ENDED,       /* ask wh_job_result */
};

struct wh_progress {
    const char *step;   /* what it is doing, a constant string: "read the image" */
    uint64_t done;      /* bytes of input dealt with */
    uint64_t total;     /* bytes there are; 0: not known (a pipe) */
};

/* Run it here and return when it has ended.  Returns wh_job_result(j). */
WH_API enum wh_kind wh_job_run(struct wh_job *j);

/* Run it on a thread of its own and return at once.  False: no thread could be had; the job has
 * ended and its result says why. */
WH_API bool wh_job_start(struct wh_job *j);

/* A descriptor that polls readable when there is something new: a step, progress, the end.  It is
 * the job's; wh_job_state makes it unreadable again. */
WH_API int wh_job_fd(const struct wh_job *j);

/* Where it is.  progress may be NULL. */
WH_API enum wh_state wh_job_state(struct wh_job *j, struct wh_progress *progress);

/* What has happened in it since the last time, the oldest first: JSON text (wherry-json(5)), to be
 * freed with free(), or NULL: nothing more.  Rounds of copying and changes of state are told of. */
WH_API char *wh_job_event(struct wh_job *j);

/* Ask it to stop.  It undoes what it has begun and ends with WH_CANCELLED, or with its result if
 * it was past the point of no return.  Does not wait; may be called in a signal handler. */
WH_API void wh_job_cancel(struct wh_job *j);

/* Wait for a started job's end; of one that was not started it waits for nothing.  Returns
 * wh_job_result(j). */
WH_API enum wh_kind wh_job_wait(struct wh_job *j);

/* After the end: WH_OK or what kind of failure, and one line of text ("" for WH_OK) that says
 * what was being done and why it failed.  The text is the job's. */
WH_API enum wh_kind wh_job_result(const struct wh_job *j);
WH_API const char *wh_job_error(const struct wh_job *j);

/* After the end: what was found, as JSON text (wherry-json(5)).  NULL where there is nothing, as
 * after a failure to open the input.  The text is the job's. */
WH_API const char *wh_job_json(const struct wh_job *j);

/* Cancels it if it runs, waits for its end, frees it.  Takes NULL. */
WH_API void wh_job_free(struct wh_job *j);

/* Read the input from this descriptor, from where it stands, instead of opening the path (which
 * then only names it in texts).  The caller keeps the descriptor and leaves it alone while the
 * job runs.  Before run or start. */
WH_API void wh_job_input(struct wh_job *j, int fd);

/* ------------------------------------------------------------------- images and findings */

/* One rule that an image breaks.  Numbers of rules are not stable; their names are. */
struct wh_finding {
    uint64_t offset;            /* in the stream, in bytes: of what is wrong */
    const char *layer;          /* "xl", "libxl", "libxc", "legacy", "trailer" */
    const char *record;         /* "PAGE_DATA", "header" */
    const char *rule;           /* "padding": docs/streams.md lists them */
    const char *expected;
    const char *found;
    bool pedantic;              /* against the letter only; stock Xen writes such streams */
};

enum wh_flags {
    WH_DIGEST = 1 << 0,         /* read every byte: check the trailer's digest, if there is one */
    WH_PEDANTIC = 1 << 1,       /* report what is against the letter of the specification too */
    WH_PAGES = 1 << 2,          /* inspect: read page bodies and map the guest's memory */
};

/* Check every rule of the format.  Any container: an xl save file, a bare libxl or libxc stream,
 * a legacy (before Xen 4.6) stream; each, here and below, also compressed by zstd, and what is said
 * is then of the plain stream.  "-" is standard input.  flags: WH_DIGEST, WH_PEDANTIC.
 * Ends with WH_STREAM if a rule is broken.  NULL, here and below: no memory, or no descriptor
 * to be had. */
WH_API struct wh_job *wh_verify_new(const char *path, unsigned flags);

/* After a verification: how many findings, and one of them.  At most 1000 are kept of an image;
 * wh_findings counts the rest too.  False: there is no such finding.  Its strings are the
 * job's. */
WH_API uint64_t wh_findings(const struct wh_job *j);
WH_API bool wh_finding_get(const struct wh_job *j, size_t i, struct wh_finding *finding);

/* Say what is in an image (wh_job_json).  flags: WH_DIGEST, WH_PAGES.  Of an image that breaks a
 * rule or ends early all is told that can be read, and the job ends with WH_STREAM. */
WH_API struct wh_job *wh_inspect_new(const char *path, unsigned flags);

/* Say where one page of a guest is (wh_job_json): the type it was last named with, how many
 * entries with contents name it, where the last contents stand.  A file's trailer index makes
 * that quick, and then only the last run of records that has it is looked at. */
WH_API struct wh_job *wh_page_new(const char *path, uint64_t pfn);

/* ------------------------------------------------------------------------------ convert */

enum wh_container {
    WH_SAME,            /* as the input; of a legacy input: xl if it was in one, else libxl */
    WH_XL,              /* what xl save writes */
    WH_LIBXL,           /* the libxl stream alone */
    WH_LIBXC,           /* the memory image alone: no emulator's state */
};

struct wh_convert {
    enum wh_container to;
    unsigned width;             /* legacy input: the writer's word, 32 or 64; 0: find out */
    const char *guest;          /* legacy input: "pv" or "hvm"; NULL: find out */
    const char *config;         /* file with the JSON configuration of the xl container, in place
                                   of the input's; NULL: the input's */
    bool no_trailer;            /* xl container: leave Wherry's trailer out */
    bool compress;              /* write it as a zstd file, with a seek table */
    int level;                  /* of the compression: zstd's -5 to 19; 0: 1 */
};

/* Write the image in at out, which appears by rename, mode 0600, when it is whole and on disk.
 * The input is checked on the way; a bad one gives WH_STREAM and no output.  Afterwards
 * wh_job_json says what was written.  how is copied. */
WH_API struct wh_job *wh_convert_new(const char *in, const char *out,
                                     const struct wh_convert *how);

/* ------------------------------------------------------------------------------ extract */

struct wh_extract {
    bool config;                /* the configuration, to output */
    const char *emulator;       /* the emulator's state, to this file */
    bool page;                  /* page frame pfn, 4096 bytes, to output */
    uint64_t pfn;
    const char *core;           /* an ELF64 core of the guest's physical memory, to this file */
    const char *output;         /* for config and page; NULL, "-": standard output */
};

/* Take one thing out of an image.  what is copied.  Exactly one of config, emulator, page and
 * core.  What an image has several of (a page sent again, an emulator's state an epoch) is taken
 * as the restored guest would have it: the last whole one counts. */
WH_API struct wh_job *wh_extract_new(const char *path, const struct wh_extract *what);

/* ---------------------------------------------------------------- domains of this host */

/* These are for domain 0 of a Xen host and for root; elsewhere they end with WH_XEN.  A domain is
 * named as people name it: by its number, its name, or its uuid; one that is not there, or is
 * ambiguous, gives WH_USAGE.  Domains that other toolstacks made are like ours.  What is said
 * stands in wh_job_json (wherry-json(5)). */

struct wh_create_how {
    const char *more;           /* lines of configuration after the file's: "vcpus=2\n"; NULL */
    bool paused;                /* do not let it run yet */
    bool dry_run;               /* only read the configuration; for any host */
    bool no_monitor;            /* start no process that carries out on_poweroff and its like */
};

/* Start a guest that an xl.cfg file describes ("-": standard input).  PV, PVH and HVM guests.  Every
 * failure, and a cancel, leaves nothing of it.  wh_job_json also after a failure: what is to be
 * warned of; of a dry run the configuration.  how is copied. */
WH_API struct wh_job *wh_create_new(const char *path, const struct wh_create_how *how);

/* Take a domain away at once, without asking it, in whatever state it is.  Once begun it goes to
 * its end. */
WH_API struct wh_job *wh_destroy_new(const char *domain);

/* What domains there are, with their configuration if config is true.  NULL: all. */
WH_API struct wh_job *wh_list_new(const char *domain, bool config);

/* Which one it is: number, name, uuid, type. */
WH_API struct wh_job *wh_find_new(const char *domain);

/* Where its vCPUs run and may run.  NULL: of all domains. */
WH_API struct wh_job *wh_vcpus_new(const char *domain);

/* What the host and its hypervisor are; the hypervisor's log, which is emptied if clear is true. */
WH_API struct wh_job *wh_host_new(void);
WH_API struct wh_job *wh_dmesg_new(bool clear);

/* Xen counts: what was paused twice has to be unpaused twice. */
WH_API struct wh_job *wh_pause_new(const char *domain);
WH_API struct wh_job *wh_unpause_new(const char *domain);

/* Give it another name, which no other domain has: no slash, no control characters, not only
 * digits. */
WH_API struct wh_job *wh_rename_new(const char *domain, const char *name);

/* Tell it how much memory to have, in KiB, at most its maximum; set the maximum, at least what it
 * is to have. */
WH_API struct wh_job *wh_memory_new(const char *domain, uint64_t kib);
WH_API struct wh_job *wh_max_memory_new(const char *domain, uint64_t kib);

/* Put a medium into one of an HVM guest's CD drives, in place of what is in it, and take it out.  vdev
 * is what the configuration calls it, "hdc"; file a path, of a file or a block device, or TYPE:PATH
 * with a type of raw, file, phy, aio, qcow, qcow2, vhd, qed.  Also when the guest has the drive locked.
 * A failure puts the old medium back, or says that the drive is empty. */
WH_API struct wh_job *wh_cd_insert_new(const char *domain, const char *vdev, const char *file);
WH_API struct wh_job *wh_cd_eject_new(const char *domain, const char *vdev);

struct wh_power {
    bool reboot;                /* else: shut down */
    bool acpi;                  /* those without PV drivers by an ACPI event, which a guest may
                                   ignore; of a shutdown only: Xen has none for a reboot */
    unsigned wait;              /* 0: until the guest has taken the request.  1: until it has shut
                                   down or is gone.  2: until it is gone */
};

/* Ask it to shut down or to reboot.  NULL: all but domain 0.  A guest that has not taken the
 * request within a minute gives WH_GUEST, and the request is withdrawn.  how is copied. */
WH_API struct wh_job *wh_power_new(const char *domain, const struct wh_power *how);

/* ------------------------------------------------------------------- save and restore */

/* How a guest is copied while it runs, and when it is suspended for the rest. */
enum wh_live_mode {
    WH_LIVE_AUTO,               /* where the hypervisor can tell what a guest writes to; else it is
                                   suspended first */
    WH_LIVE_REQUIRE,            /* or fail */
    WH_LIVE_NO,                 /* suspend it first */
};

struct wh_live_how {
    enum wh_live_mode mode;
    uint64_t downtime_ms;       /* the pause that is aimed at; 0: 300 */
    uint64_t timeout_ms;        /* the most that copying may take; 0: no limit */
    bool force;                 /* then: suspend it, however long the pause; else give up */
    unsigned max_rounds;        /* 0: 30 */
};

struct wh_save_how {
    bool keep_running;          /* leave the guest running when it is saved */
    bool paused;                /* leave it paused */
    bool live;                  /* copy it while it runs: the pause is short, the file up to half as
                                   large again */
    struct wh_live_how rounds;
    bool compress;              /* a zstd file of the image, in independent frames */
    int level;                  /* zstd's, -5 to 19; 0: 1 */
    bool no_sparse;             /* have every block of the file reserved: no holes for zeros */
    bool no_room_check;         /* do not refuse a file system that may be too full */
    bool no_trailer;            /* leave Wherry's trailer out */
    bool then_exit;             /* the process ends with the job: what it has mapped of the guest may
                                   stay mapped until then, which is faster; so long Xen has not got
                                   back a destroyed domain's memory */
    const char *config;         /* an xl.cfg file to store in place of the running guest's; NULL */
};

/* Save a domain to a file (docs/streams.md), which appears by rename, mode 0600, when it is whole
 * and on disk; only then is the domain destroyed.  "-" is standard output, where "on disk" is the
 * reader's business.  Until the file has its name every failure, and a cancel, lets the guest run
 * on and leaves no file.  PV, PVH and HVM guests.  how is copied. */
WH_API struct wh_job *wh_save_new(const char *domain, const char *path,
                                  const struct wh_save_how *how);

struct wh_restore_how {
    bool paused;                /* do not let it run yet */
    bool no_verify;             /* do not check the digest of a file that has one */
    bool no_monitor;            /* start no process that carries out on_poweroff and its like */
    bool then_exit;             /* as for a save */
    const char *config;         /* an xl.cfg file in place of the image's configuration; NULL */
};

/* Make a guest of an image: a file, compressed or not, or "-".  The digest, where there is one, is
 * checked before the guest runs.  Every failure before it runs leaves no domain.  how is copied. */
WH_API struct wh_job *wh_restore_new(const char *path, const struct wh_restore_how *how);

/* ------------------------------------------------------------------------------ migration */

enum wh_protocol {
    WH_PROTOCOL_AUTO,           /* native; where a host has no wherry, stock */
    WH_PROTOCOL_NATIVE,         /* between two wherries: docs/handoff.md */
    WH_PROTOCOL_STOCK,          /* what xl migrate and xl migrate-receive speak */
};

struct wh_send_how {
    enum wh_protocol protocol;
    const char *command;        /* in place of ssh, which is given the host and what is to run there; "":
                                   host is a command itself; NULL: ssh */
    bool own_link;              /* in and out are the link: descriptors that do not block and stay the
                                   caller's; host then only names the target */
    int in, out;
    const char *config;         /* an xl.cfg file in place of the guest's configuration; NULL */
    const char *name;           /* what the guest is to be called there; NULL: as here */
    const char *force;          /* preflight checks that need not pass: "memory,clock"; NULL: none */
    bool look_only;             /* only see whether it could go (native) */
    bool paused;                /* leave it paused there */
    bool no_monitor;            /* nobody there carries out on_poweroff and its like */
    bool then_exit;             /* as for a save */
    struct wh_live_how rounds;
    uint64_t bandwidth;         /* bytes a second, at most; 0: no limit */
    int packing;                /* zstd level 1 to 19; 0: where it makes it faster; -1: never (native) */
    bool debug;                 /* while it is suspended send all pages once more: the target compares them with
                                   what it has, and (native) does not take a guest that is not the same */
};

/* Move a running domain to another host.  Until the target has all of the guest and is told to run it,
 * every failure and a cancel lets it run on here.  Behind that it never runs here unless the target
 * says that it did not take it; where that cannot be known it runs nowhere, the failure says so, and
 * wh_recover_new settles it.  host: "web2", "unix:PATH", "tcp:ADDRESS:PORT".  how is copied. */
WH_API struct wh_job *wh_send_new(const char *domain, const char *host,
                                  const struct wh_send_how *how);

struct wh_receive_how {
    bool own_link;              /* as for a sender; else standard input and output */
    int in, out;
    const char *listen;         /* wait for one sender at "unix:PATH" or "tcp:ADDRESS:PORT"; NULL */
    bool paused, no_monitor;    /* as a stock sender asks for on the command line */
};

/* Receive a guest, of wh_send_new or of xl migrate.  how is copied. */
WH_API struct wh_job *wh_receive_new(const struct wh_receive_how *how);

struct wh_recover_how {
    bool look_only;             /* tell, change nothing, ask no other host */
    const char *fenced;         /* a host, as it was named to wh_send_new, of which the operator knows that
                                   it is off and that what it ran is dead: guests that may have moved
                                   there run here again; NULL */
    const char *domain;         /* let this domain run on, which something else left suspended;
                                   NULL: what Wherry's own commands left */
};

/* Find and settle what killed commands left: a suspended guest runs on, an unfinished domain and
 * an unfinished file go.  how is copied. */
WH_API struct wh_job *wh_recover_new(const struct wh_recover_how *how);

/* ------------------------------------------------------------------------- other processes */

/* What is under way on this host, in whatever process, and how far it is: creates, saves, restores, moves
 * away and arrivals. */
WH_API struct wh_job *wh_jobs_new(void);

/* Ask one of them to stop, which the wherry command takes by a signal; the jobs of a program that embeds
 * the library are its own to cancel.  job is what wh_jobs_new calls it: "save-3", a move's uuid.  Waits
 * until it has ended: WH_OK, it has been taken back; WH_USAGE, that was too late (or there is no such
 * job); WH_TIMEOUT, it has not ended within wait_ms.  With 0 it is only asked. */
WH_API struct wh_job *wh_cancel_new(const char *job, uint64_t wait_ms);

#ifdef __cplusplus
}
#endif

#endif
