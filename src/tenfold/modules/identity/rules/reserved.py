"""Handles that nobody can have: the service's own names, and words that would let somebody speak for it."""

_WORDS = """
    about abuse access account accounts admin administrator administrators admins ads advertise all anonymous
    anyone api apis app apps archive ask assets auth authentication author avatar ban billing blog bot bots
    business careers cdn channel channels chat client cloud code community compliance config connect contact
    cookies copyright dashboard data db delete demo deploy dev developer developers dns docs documentation
    domain download email emails error errors everyone explore export faq favicon.ico feed feedback files follow
    followers following forum forums ftp group groups guest handle handles health help helpdesk here home host
    hostmaster http https identity image images imap inbox index info internal invite jobs join keys legal lists
    live local localhost log login logout mail mailer mailer.daemon map marketing me media member members
    mention message messages metrics mobile mod moderation moderator moderators mods money name network news
    newsletter nobody noreply notification notifications null oauth official ops order orders owner page pages
    password passwords payment payments people ping policy pop postmaster press pricing privacy profile public
    ready realtime register report reports robots.txt root rss rules sales search secure security self server
    service services session sessions settings setup share shop signin signout signup site sitemap.xml smtp sso
    staff static stats status store stories story stream subscribe superuser support sysadmin system tag tags
    team teams tenfold terms test testing timeline timelines token tokens trust undefined unknown unsubscribe
    update upload uploads user username users verification verified verify video web webhook webhooks webmaster
    websocket welcome wiki www you
"""

RESERVED_HANDLES = frozenset(_WORDS.split())
