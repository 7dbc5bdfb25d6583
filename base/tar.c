/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/str.h"

#define BLOCK      512U
#define PAX_MAX    ((size_t)1024 * 1024)
#define COPY_MAX   65536U
#define NAME_BYTES 100U

struct header {
    char name[NAME_BYTES];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[NAME_BYTES];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

enum { TYPE_FILE = '0', TYPE_HARD = '1', TYPE_LINK = '2', TYPE_FOLDER = '5', TYPE_PAX = 'x' };

/* ---- writing ---- */

static void put_octal(char *field, size_t size, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)number);
    memcpy(field, text, size); // with its NUL
}

static unsigned checksum(const struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        bool is_sum = i >= offsetof(struct header, checksum) &&
                      i < offsetof(struct header, checksum) + sizeof(header->checksum);
        sum += is_sum ? ' ' : bytes[i];
    }
    return sum;
}

static bool put_header(int out,
                       const char *name,
                       char type,
                       mode_t mode,
                       uint64_t size,
                       int64_t mtime,
                       const char *link,
                       struct error *err)
{
    struct header header = { .type = type, .magic = "ustar", .version = { '0', '0' } };
    size_t length = strlen(name);
    memcpy(header.name, name, length < NAME_BYTES ? length : NAME_BYTES);
    put_octal(header.mode, sizeof(header.mode), mode & 07777);
    put_octal(header.uid, sizeof(header.uid), 0);
    put_octal(header.gid, sizeof(header.gid), 0);
    put_octal(header.size, sizeof(header.size), size);
    put_octal(header.mtime, sizeof(header.mtime), mtime > 0 ? (uint64_t)mtime : 0);
    if (link != NULL)
        memcpy(header.link, link, strnlen(link, NAME_BYTES));
    (void)snprintf(header.checksum, sizeof(header.checksum), "%06o", checksum(&header));
    header.checksum[7] = ' ';
    return fs_write_fd(out, &header, sizeof(header), "archive", err);
}

static bool pad(int out, uint64_t size, struct error *err)
{
    static const char zeros[BLOCK];
    size_t rest = (size_t)(size % BLOCK);
    return rest == 0 || fs_write_fd(out, zeros, BLOCK - rest, "archive", err);
}

/* "<length> <key>=<value>\n", where the length counts itself. */
static void put_pax(struct buf *out, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3;
    size_t total = rest + 1;
    for (;;) {
        char digits[24];
        size_t needed = rest + (size_t)snprintf(digits, sizeof(digits), "%zu", total);
        if (needed == total)
            break;
        total = needed;
    }
    buf_printf(out, "%zu %s=%s\n", total, key, value);
}

static bool put_entry(int out,
                      const char *name,
                      char type,
                      mode_t mode,
                      uint64_t size,
                      int64_t mtime,
                      const char *link,
                      struct error *err)
{
    struct buf pax = { 0 };
    if (strlen(name) > NAME_BYTES)
        put_pax(&pax, "path", name);
    if (link != NULL && strlen(link) > NAME_BYTES)
        put_pax(&pax, "linkpath", link);
    if (size > 077777777777U) {
        char digits[24];
        (void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)size);
        put_pax(&pax, "size", digits);
    }
    bool ok =
        pax.length == 0 ||
        (put_header(out, "pax", TYPE_PAX, 0644, pax.length, 0, NULL, err) &&
         fs_write_fd(out, pax.bytes, pax.length, "archive", err) && pad(out, pax.length, err));
    buf_free(&pax);
    return ok && put_header(out, name, type, mode, size & 077777777777U, mtime, link, err);
}

struct writing {
    int out;
    const char *prefix;
    mode_t more;
};

static mode_t folder_mode(mode_t mode, mode_t more)
{
    // Who may read or write what is in a folder must also be able to enter it.
    return (mode | more | (more & 0444) >> 2) & 07777;
}

static bool write_file(const struct writing *writing,
                       const struct fs_entry *entry,
                       const char *name,
                       struct error *err)
{
    struct stat info;
    AUTO_FD int fd = openat(entry->dirfd, entry->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &info) != 0)
        return fs_error(err, errno, "read", entry->path);
    uint64_t size = (uint64_t)info.st_size;
    if (!put_entry(writing->out, name, TYPE_FILE, info.st_mode | writing->more, size, info.st_mtime,
                   NULL, err))
        return false;
    char bytes[COPY_MAX];
    for (uint64_t left = size; left > 0;) {
        ssize_t got = read(fd, bytes, left < sizeof(bytes) ? (size_t)left : sizeof(bytes));
        if (got <= 0)
            return error_set(err, ERR_INTERNAL, "'%s' changed while it was read", entry->path);
        if (!fs_write_fd(writing->out, bytes, (size_t)got, "archive", err))
            return false;
        left -= (uint64_t)got;
    }
    return pad(writing->out, size, err);
}

static bool write_entry(void *context, const struct fs_entry *entry, struct error *err)
{
    const struct writing *writing = context;
    char name[TAR_NAME_MAX + 1];
    const struct stat *info = entry->info;
    int length = snprintf(name, sizeof(name), "%s%s%s%s", writing->prefix,
                          *writing->prefix == '\0' ? "" : "/", entry->path,
                          S_ISDIR(info->st_mode) ? "/" : "");
    if (length < 0 || (size_t)length >= sizeof(name))
        return error_set(err, ERR_LIMIT, "name '%.100s…' is too long", entry->path);
    if (S_ISREG(info->st_mode))
        return write_file(writing, entry, name, err);
    if (S_ISDIR(info->st_mode))
        return put_entry(writing->out, name, TYPE_FOLDER, folder_mode(info->st_mode, writing->more),
                         0, info->st_mtime, NULL, err);
    if (!S_ISLNK(info->st_mode))
        return true;
    char link[TAR_NAME_MAX + 1];
    ssize_t got = readlinkat(entry->dirfd, entry->name, link, sizeof(link) - 1);
    if (got < 0)
        return fs_error(err, errno, "read", entry->path);
    link[got] = '\0';
    return put_entry(writing->out, name, TYPE_LINK, 0777, 0, info->st_mtime, link, err);
}

bool tar_write_folder(
    int out, const char *folder, const char *prefix, mode_t mode_more, struct error *err)
{
    static const char end[2 * BLOCK];
    struct writing writing = { .out = out, .prefix = prefix, .more = mode_more };
    struct stat info;
    if (stat(folder, &info) != 0)
        return fs_error(err, errno, "read", folder);
    if (*prefix != '\0') {
        char name[TAR_NAME_MAX + 1];
        (void)snprintf(name, sizeof(name), "%s/", prefix);
        if (!put_entry(out, name, TYPE_FOLDER, folder_mode(info.st_mode, mode_more), 0,
                       info.st_mtime, NULL, err))
            return false;
    }
    return fs_walk(folder, write_entry, &writing, err) &&
           fs_write_fd(out, end, sizeof(end), "archive", err);
}

/* ---- reading ---- */

struct reading {
    int in;
    int root;
    unsigned strip;
    struct arena *arena;
    /* Of the next entry, from headers before it. */
    const char *long_name;
    const char *long_link;
    bool has_size;
    uint64_t size;
};

/* Whole blocks, or nothing at the end of the file. */
static bool read_block(int in, void *bytes, bool *is_end, struct error *err)
{
    size_t have = 0;
    while (have < BLOCK) {
        ssize_t got = read(in, (char *)bytes + have, BLOCK - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fs_error(err, errno, "read", "archive");
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *is_end = have == 0;
    return have == 0 || have == BLOCK || error_set(err, ERR_INVALID, "the archive is cut off");
}

static bool damaged(struct error *err)
{
    return error_set(err, ERR_INVALID, "the archive is damaged");
}

static bool get_number(const char *field, size_t size, uint64_t *out)
{
    uint64_t number = 0;
    if (((unsigned char)field[0] & 0x80U) != 0) { // GNU: binary, big endian
        number = (unsigned char)field[0] & 0x7fU;
        for (size_t i = 1; i < size; i++) {
            if (number > UINT64_MAX >> 8)
                return false;
            number = number << 8 | (unsigned char)field[i];
        }
        *out = number;
        return true;
    }
    size_t i = 0;
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        number = number * 8 + (unsigned)(field[i] - '0');
    *out = number;
    return i == size || field[i] == '\0' || field[i] == ' ';
}

/* Gives the bytes of an entry to a descriptor, or drops them with -1. */
static bool copy_content(struct reading *reading, uint64_t size, int to, struct error *err)
{
    char block[BLOCK];
    for (uint64_t left = size; left > 0;) {
        bool is_end = false;
        if (!read_block(reading->in, block, &is_end, err))
            return false;
        if (is_end)
            return error_set(err, ERR_INVALID, "the archive is cut off");
        size_t part = left < BLOCK ? (size_t)left : BLOCK;
        if (to >= 0 && !fs_write_fd(to, block, part, "file of the archive", err))
            return false;
        left -= part;
    }
    return true;
}

/* The text of a long name or of pax records. */
static char *read_text(struct reading *reading, uint64_t size, struct error *err)
{
    if (size > PAX_MAX) {
        error_set(err, ERR_LIMIT, "a header of the archive is too long");
        return NULL;
    }
    char *text = arena_alloc(reading->arena, (size_t)size + BLOCK);
    for (uint64_t at = 0; at < size; at += BLOCK) {
        bool is_end = false;
        if (!read_block(reading->in, text + at, &is_end, err))
            return NULL;
        if (is_end) {
            (void)damaged(err);
            return NULL;
        }
    }
    text[size] = '\0';
    return text;
}

static bool take_pax(struct reading *reading, char *text, uint64_t size, struct error *err)
{
    for (char *at = text; at < text + size;) {
        char *end = NULL;
        unsigned long long length = strtoull(at, &end, 10);
        if (end == at || *end != ' ' || length < 5 || length > (uint64_t)(text + size - at))
            return damaged(err);
        char *record = end + 1;
        char *last = at + length - 1;
        char *equals = memchr(record, '=', (size_t)(last - record));
        if (equals == NULL || *last != '\n')
            return damaged(err);
        *equals = *last = '\0';
        int64_t number = 0;
        if (strcmp(record, "path") == 0) {
            reading->long_name = equals + 1;
        } else if (strcmp(record, "linkpath") == 0) {
            reading->long_link = equals + 1;
        } else if (strcmp(record, "size") == 0 && str_to_int(equals + 1, 0, INT64_MAX, &number)) {
            reading->size = (uint64_t)number;
            reading->has_size = true;
        }
        at = last + 1;
    }
    return true;
}

/* The name below the folder: "./" and `strip` segments taken off. "" when nothing is left. */
static const char *stripped(const struct reading *reading, const char *name)
{
    unsigned left = reading->strip;
    for (;;) {
        while (str_starts(name, "./"))
            name += 2;
        if (left == 0)
            break;
        name += strcspn(name, "/");
        while (*name == '/')
            name++;
        left--;
    }
    return str_eq(name, ".") ? "" : name;
}

static bool make_link(struct reading *reading,
                      const char *name,
                      const char *target,
                      struct error *err)
{
    const char *slash = strrchr(name, '/');
    AUTO_FD int parent = -1;
    if (slash == NULL) {
        parent = fcntl(reading->root, F_DUPFD_CLOEXEC, 0);
    } else {
        const char *folder = arena_strndup(reading->arena, name, (size_t)(slash - name));
        if (!fs_mkdirs_beneath(reading->root, folder, 0700, err))
            return false;
        parent =
            fs_open_beneath(reading->root, folder, O_RDONLY | O_DIRECTORY, 0, FS_NO_LINKS, err);
    }
    if (parent < 0)
        return false;
    const char *last = slash == NULL ? name : slash + 1;
    (void)unlinkat(parent, last, 0); // what is there is replaced; a folder makes the link fail
    return symlinkat(target, parent, last) == 0 || fs_error(err, errno, "create", name);
}

/* A new file in place of what is there, so that a link is replaced and not written through. */
static int create_file(struct reading *reading, const char *name, mode_t mode, struct error *err)
{
    int fd = fs_open_beneath(reading->root, name, O_WRONLY | O_CREAT | O_TRUNC, mode,
                             FS_NO_LINKS | FS_MAKE_PARENTS, NULL);
    if (fd < 0) {
        if (!fs_remove_tree_at(reading->root, name, err))
            return -1;
        fd = fs_open_beneath(reading->root, name, O_WRONLY | O_CREAT | O_TRUNC, mode,
                             FS_NO_LINKS | FS_MAKE_PARENTS, err);
    }
    if (fd >= 0)
        (void)fchmod(fd, mode); // of a file that was there
    return fd;
}

static bool make_hard(struct reading *reading,
                      const char *name,
                      const char *target,
                      struct error *err)
{
    const char *from_name = stripped(reading, target);
    AUTO_FD int from = fs_open_beneath(reading->root, from_name, O_RDONLY, 0, FS_NO_LINKS, err);
    AUTO_FD int to = from < 0 ? -1 : create_file(reading, name, 0644, err);
    size_t bytes = 0;
    return to >= 0 && fs_copy(from, to, name, SIZE_MAX, &bytes, err);
}

static bool read_entry(struct reading *reading,
                       const struct header *header,
                       const char *name,
                       const char *link,
                       uint64_t size,
                       struct error *err)
{
    uint64_t mode = 0;
    if (!get_number(header->mode, sizeof(header->mode), &mode))
        return damaged(err);
    name = stripped(reading, name);
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == '/')
        length--;
    name = arena_strndup(reading->arena, name, length);
    if (length == 0)
        return copy_content(reading, size, -1, err);
    if (!fs_path_is_beneath(name))
        return error_set(err, ERR_INVALID, "'%s' in the archive leaves its folder", name);
    switch (header->type) {
    case '\0':
    case TYPE_FILE: {
        AUTO_FD int fd = create_file(reading, name, (mode_t)(mode & 0777), err);
        return fd >= 0 && copy_content(reading, size, fd, err);
    }
    case TYPE_FOLDER:
        return fs_mkdirs_beneath(reading->root, name, 0700, err) &&
               copy_content(reading, size, -1, err);
    case TYPE_LINK:
        return make_link(reading, name, link, err) && copy_content(reading, size, -1, err);
    case TYPE_HARD:
        return make_hard(reading, name, link, err) && copy_content(reading, size, -1, err);
    default:
        return copy_content(reading, size, -1, err);
    }
}

static bool read_all(struct reading *reading, struct error *err)
{
    for (;;) {
        struct header header;
        bool is_end = false;
        uint64_t size = 0;
        uint64_t sum = 0;
        if (!read_block(reading->in, &header, &is_end, err))
            return false;
        if (is_end || header.name[0] == '\0')
            return true;
        if (!get_number(header.checksum, sizeof(header.checksum), &sum) ||
            sum != checksum(&header) || !get_number(header.size, sizeof(header.size), &size))
            return damaged(err);
        if (header.type == TYPE_PAX || header.type == 'L' || header.type == 'K') {
            char *text = read_text(reading, size, err);
            if (text == NULL)
                return false;
            if (header.type == 'L')
                reading->long_name = text;
            else if (header.type == 'K')
                reading->long_link = text;
            else if (!take_pax(reading, text, size, err))
                return false;
            continue;
        }
        struct arena_mark mark = arena_mark(reading->arena);
        const char *name = reading->long_name;
        if (name == NULL) {
            name = arena_strndup(reading->arena, header.name, strnlen(header.name, NAME_BYTES));
            if (memcmp(header.magic, "ustar", 6) == 0 && header.prefix[0] != '\0')
                name = arena_printf(reading->arena, "%.155s/%s", header.prefix, name);
        }
        const char *link = reading->long_link;
        if (link == NULL)
            link = arena_strndup(reading->arena, header.link, strnlen(header.link, NAME_BYTES));
        if (reading->has_size)
            size = reading->size;
        if (!read_entry(reading, &header, name, link, size, err))
            return false;
        bool keeps_text = reading->long_name != NULL || reading->long_link != NULL;
        reading->long_name = reading->long_link = NULL;
        reading->has_size = false;
        if (keeps_text)
            arena_reset(reading->arena);
        else
            arena_rewind(reading->arena, mark);
    }
}

bool tar_read_folder(int in, const char *folder, unsigned strip, struct error *err)
{
    AUTO_FD int root = fs_open_folder(folder, err);
    if (root < 0)
        return false;
    struct reading reading = { .in = in, .root = root, .strip = strip, .arena = arena_new() };
    bool ok = read_all(&reading, err);
    arena_free(reading.arena);
    return ok;
}
