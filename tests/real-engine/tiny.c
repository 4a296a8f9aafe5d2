/* What runs in the containers of tests and recordings: one static program that behaves as its arguments say, one
 * after the other: `tiny print ready sleep 2 exit 3`. It needs no file in its image and no network.
 *
 *   print TEXT      writes the line TEXT to standard output
 *   complain TEXT   writes it to standard error
 *   sleep SECONDS   waits; fractions are allowed
 *   until FILE      waits until FILE exists
 *   exit CODE       ends
 *   segfault        reads where nothing is: ends by signal 11 (exit code 139)
 *   oom             takes memory until the kernel kills it (exit code 137, and an `oom` event)
 *   term CODE       from here on, a SIGTERM ends with CODE; without this word with 0
 *   ignore-term     from here on, a SIGTERM is ignored, so that a stop has to kill
 *   create FILE     makes an empty file
 *   remove FILE     deletes it
 *   health FILE     ends: with 1 while FILE exists, else with 0; for health checks
 *
 * Without `exit` it ends with 0 after the last word, and with 2 when a word is unknown. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t term_code = 0;

static void on_term(int signal) {
    (void)signal;
    _exit(term_code);
}

static void wait_for(double seconds) {
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) != 0) {
    }
}

static int take_all_memory(void) {
    const size_t step = 1 << 20;
    for (;;) {
        char *block = malloc(step);
        if (block == NULL) {
            return 1;
        }
        memset(block, 1, step); /* memory that is not written does not count */
    }
}

static int unknown(const char *word) {
    fprintf(stderr, "tiny: unknown word or missing value: %s\n", word);
    return 2;
}

int main(int count, char **words) {
    /* The first process of a container ignores every signal that it has no handler for. */
    signal(SIGTERM, on_term);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int at = 1; at < count; at++) {
        const char *word = words[at];
        if (strcmp(word, "segfault") == 0) {
            return *(volatile int *)NULL;
        } else if (strcmp(word, "oom") == 0) {
            return take_all_memory();
        } else if (strcmp(word, "ignore-term") == 0) {
            signal(SIGTERM, SIG_IGN);
            continue;
        }
        if (++at == count) {
            return unknown(word);
        }
        const char *value = words[at];
        if (strcmp(word, "print") == 0) {
            printf("%s\n", value);
        } else if (strcmp(word, "complain") == 0) {
            fprintf(stderr, "%s\n", value);
        } else if (strcmp(word, "sleep") == 0) {
            wait_for(atof(value));
        } else if (strcmp(word, "until") == 0) {
            while (access(value, F_OK) != 0) {
                wait_for(0.05);
            }
        } else if (strcmp(word, "exit") == 0) {
            return atoi(value);
        } else if (strcmp(word, "term") == 0) {
            term_code = atoi(value);
        } else if (strcmp(word, "create") == 0) {
            close(open(value, O_CREAT | O_WRONLY, 0644));
        } else if (strcmp(word, "remove") == 0) {
            unlink(value);
        } else if (strcmp(word, "health") == 0) {
            return access(value, F_OK) == 0;
        } else {
            return unknown(word);
        }
    }
    return 0;
}
