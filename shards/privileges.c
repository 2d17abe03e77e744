// Drops user, capabilities and system calls, so that a hole in a parser leads nowhere.
#include "shards/privileges.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

enum { PASSWD_BYTES = 16384 };

static int fail(struct store_error *why, const char *what, int err)
{
    snprintf(why->text, sizeof why->text, "%s: %s", what, strerror(err));
    return err;
}

static uint64_t bit(int capability)
{
    return UINT64_C(1) << capability;
}

static int capabilities_get(uint64_t *permitted)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &head, data))
        return errno;
    *permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    return 0;
}

static int capabilities_set(uint64_t keep)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)keep, .permitted = (uint32_t)keep},
        {.effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32)},
    };
    return syscall(SYS_capset, &head, data) ? errno : 0;
}

// Without CAP_SETPCAP the set stays; it only counts at an execve, which no new privileges makes
// harmless.
static int bounding_set_empty(uint64_t permitted)
{
    if (!(permitted & bit(CAP_SETPCAP)))
        return 0;
    for (int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++) // EINVAL past the kernel's last
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0))
            return errno;
    return 0;
}

static bool changes_user(const struct privileges_wish *wish)
{
    return geteuid() == 0 && *wish->user != '\0';
}

static int user_find(const char *name, uid_t *uid, gid_t *gid, struct store_error *why)
{
    struct passwd entry, *found = NULL;
    char bytes[PASSWD_BYTES];
    int err = getpwnam_r(name, &entry, bytes, sizeof bytes, &found);
    if (err)
        return fail(why, "gateway.user", err);
    if (!found) {
        snprintf(why->text, sizeof why->text, "gateway.user: there is no user \"%.64s\"", name);
        return EINVAL;
    }
    *uid = found->pw_uid;
    *gid = found->pw_gid;
    return 0;
}

// nftw hands nothing on to its callback; main's thread calls this before there is any other.
static struct {
    uid_t uid;
    gid_t gid;
} heir;

static int give_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return lchown(path, heir.uid, heir.gid) ? errno : 0;
}

int privileges_give(const struct privileges_wish *wish, const char *dir, struct store_error *why)
{
    enum { DESCRIPTORS = 8 };
    if (!changes_user(wish))
        return 0;
    int err = user_find(wish->user, &heir.uid, &heir.gid, why);
    if (err)
        return err;
    err = nftw(dir, give_one, DESCRIPTORS, FTW_PHYS | FTW_MOUNT);
    return err ? fail(why, dir, err > 0 ? err : errno) : 0;
}

static const int forbidden[] = {
    // other programs and processes
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    // the file system's shape
    SCMP_SYS(mount),
    SCMP_SYS(umount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(quotactl),
    // namespaces, the kernel, the machine
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(personality),
    SCMP_SYS(acct),
    SCMP_SYS(syslog),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(vhangup),
};

int privileges_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int err = filter ? 0 : -ENOMEM;
    for (size_t i = 0; !err && i < sizeof forbidden / sizeof forbidden[0]; i++) {
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
        if (err == -EDOM || err == -EINVAL) // a call that this machine's architecture doesn't have
            err = 0;
    }
    if (!err)
        err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); // threads that are there already
    if (!err)
        err = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    return -err;
}

int privileges_confine(const struct privileges_wish *wish, struct store_error *why)
{
    uint64_t permitted = 0, keep = 0;
    uid_t uid;
    gid_t gid;
    int err = capabilities_get(&permitted);
    if (err)
        return fail(why, "reading the capabilities", err);
    if (changes_user(wish)) {
        if ((err = user_find(wish->user, &uid, &gid, why)))
            return err;
        keep |= bit(CAP_SETUID) | bit(CAP_SETGID);
    }
    if ((err = bounding_set_empty(permitted)))
        return fail(why, "emptying the bounding set", err);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); // goes with the permitted set anyway
    if ((err = capabilities_set(permitted & keep)))
        return fail(why, "giving up capabilities", err);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return fail(why, "no new privileges", errno);
    if (!SANITIZED && (err = privileges_filter()))
        return fail(why, "filtering system calls", err);
    return 0;
}

static int user_become(const char *name, struct store_error *why)
{
    uid_t uid;
    gid_t gid;
    int err = user_find(name, &uid, &gid, why);
    if (err)
        return err;
    // The C library makes these three in all threads; a change from root to another user takes
    // their capabilities as well (capabilities(7)).
    if (initgroups(name, gid) || setgid(gid) || setuid(uid))
        return fail(why, "becoming gateway.user", errno);
    return 0;
}

int privileges_drop(const struct privileges_wish *wish, struct store_error *why)
{
    int err = changes_user(wish) ? user_become(wish->user, why) : 0;
    if (err)
        return err;
    if ((err = capabilities_set(0)))
        return fail(why, "giving up capabilities", err);
    return 0;
}
