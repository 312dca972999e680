/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: words of the form name or name=value. */
#include "stepper.h"

struct words words = { .rate = 4096 };

static const struct {
    const char *name;
    uint64_t *number;
} numbers[] = {
    { "rate",     &words.rate     },
    { "pages",    &words.pages    },
    { "poweroff", &words.poweroff },
    { "reboot",   &words.reboot   },
    { "crash",    &words.crash    },
    { "slow",     &words.slow     },
};

bool is_same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static bool read_number(const char *text, uint64_t *number)
{
    *number = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        *number = *number * 10 + (uint64_t)(*text - '0');
    return *text == 0;
}

static bool read_switch(const char *word)
{
    if (is_same(word, "random"))
        words.random = true;
    else if (is_same(word, "p2m=tree"))
        words.tree = true;
    else if (is_same(word, "refuse=ack"))
        words.refuse = REFUSE_ACK;
    else if (is_same(word, "refuse=shutdown"))
        words.refuse = REFUSE_SHUTDOWN;
    else
        return false;
    return true;
}

static bool read_setting(const char *word)
{
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t n = strlen(numbers[i].name);
        char name[16];

        memcpy(name, word, n < strlen(word) ? n : strlen(word) + 1);
        name[n] = 0;
        if (is_same(name, numbers[i].name) && word[n] == '=')
            return read_number(word + n + 1, numbers[i].number);
    }
    return false;
}

/* What is not known is told, not obeyed: a misspelt word must not pass for a test's setting. */
static void read_word(const char *word)
{
    if (!read_switch(word) && !read_setting(word))
        print("unknown word: %s\n", word);
}

void words_read(const char *cmdline)
{
    char word[64];
    size_t n = 0;

    for (;; cmdline++) {
        if (*cmdline && *cmdline != ' ') {
            if (n < sizeof word - 1)
                word[n++] = *cmdline;
            continue;
        }
        word[n] = 0;
        if (n)
            read_word(word);
        n = 0;
        if (!*cmdline)
            return;
    }
}
