# shop.py
import asyncio

from lash_redis import Abandoned, Lash, Success

lash = Lash()  # without a URL: $LASH_REDIS_URL, else a Valkey of this project's own


@lash.task(recovery="rerunnable")  # if its worker is lost, it runs again
def thumbnail(picture: str, width: int) -> str:
    return f"{picture} at {width} px"


@lash.task(recovery="owner_bound")  # once started, nobody else ever runs it
async def charge(order_id: str, cents: int) -> str:
    return f"receipt for {order_id}: {cents}"


async def main() -> None:
    async with lash:
        work = await thumbnail.submit_many([("cat.png", 80), ("dog.png", 80)])
        work.append(await charge.options(process_id="charge:o-17").submit("o-17", 1999))  # sent again: the same process
        for process in work:
            match await process.outcome(timeout=60):
                case Success(value):
                    print(value)
                case Abandoned(evidence):
                    print("nobody can know:", evidence)
                case other:
                    print(other)


if __name__ == "__main__":
    asyncio.run(main())
