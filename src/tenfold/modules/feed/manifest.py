"""What the feed brings to the house."""

from tenfold.modules.feed import errors, events, jobs
from tenfold.modules.feed.actions.leave import export_feed
from tenfold.modules.feed.api import graph as graph_api
from tenfold.modules.feed.api import moderation
from tenfold.modules.feed.api import posts as posts_api
from tenfold.modules.feed.api import reactions as reactions_api
from tenfold.modules.feed.api import timelines as timelines_api
from tenfold.modules.feed.queries import counts, graph, homes, posts, reactions, timelines, upkeep
from tenfold.platform.module import Module

module = Module(
    name="feed",
    package="tenfold.modules.feed",
    api=[posts_api, timelines_api, reactions_api, graph_api, moderation],
    jobs=jobs,
    queries=[posts, timelines, reactions, graph, counts, homes, upkeep],
    events=events,
    errors=errors,
    export=export_feed,
    homes={
        "posts": "author_id",
        "post_edits": "author_id",
        "likes": "author_id",
        "replies": "author_id",
        "quotes": "author_id",
        "reposts": "author_id",
        "post_counts": "author_id",
        "post_count_deltas": "author_id",
        "user_likes": "user_id",
        "user_reposts": "user_id",
        "bookmarks": "user_id",
        "follows": "follower_id",
        "followers": "user_id",
        "blocks": "user_id",
        "mutes": "user_id",
        "user_counts": "user_id",
        "user_count_deltas": "user_id",
        "homes": "user_id",
        "home_entries": "user_id",
        "pulled_authors": "reference",
        "hidden_authors": "reference",
        "public_posts": "local",
    },
    costs={
        "GET /timelines/home": 6.0,
        "GET /timelines/public": 6.0,
        "GET /users/{author_id:uuid}/posts/{post_id:uuid}": 1.2,
        "GET /users/{user_id:uuid}/posts": 3.0,
        "POST /posts": 4.0,
        "PUT /users/{author_id:uuid}/posts/{post_id:uuid}/like": 4.0,
    },
)
